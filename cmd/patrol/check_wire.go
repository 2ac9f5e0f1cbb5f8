package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/patrol-authz/patrol/authz/admin"
	"github.com/patrol-authz/patrol/authz/extauthz"
)

// wireTimeout is how long an answer may take; Envoy waits less.
const wireTimeout = 10 * time.Second

// wireAnswer is what ext_authz answered.
type wireAnswer struct {
	Allowed bool `json:"allowed"`
	// Status and Body are what the client gets where it is refused.
	Status int    `json:"status"`
	Body   string `json:"body,omitempty"`
	// Set are headers that the service gets where it is allowed, or the client
	// where it is refused; Removed are those that the service does not get.
	Set     [][2]string `json:"set"`
	Removed []string    `json:"removed,omitempty"`
}

// askWire asks ext_authz as Envoy does.
func askWire(ctx context.Context, address string, in *admin.CheckRequest) (*wireAnswer, error) {
	// A token would go over the network in the clear.
	if err := extauthz.CheckAddress(address, false); err != nil {
		var beyond *extauthz.Beyond
		if errors.As(err, &beyond) {
			return nil, usagef("--wire asks in the clear: give a loopback address (127.0.0.1:9191) or unix:PATH, not %s", address)
		}
		return nil, usagef("--wire: %w", err)
	}
	target := "passthrough:///" + address
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		target = "unix:" + path
	}
	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", address, err)
	}
	defer conn.Close()
	within, cancel := context.WithTimeout(ctx, wireTimeout)
	defer cancel()
	out, err := authv3.NewAuthorizationClient(conn).Check(within, wireRequest(in))
	switch status.Code(err) {
	case codes.OK:
	case codes.Unavailable:
		return nil, fmt.Errorf("nothing answers at %s: start `patrol serve`, or give --wire the address of its ext_authz (127.0.0.1:9191 by default)", address)
	case codes.DeadlineExceeded:
		return nil, fmt.Errorf("%s does not answer within %v", address, wireTimeout)
	default:
		return nil, fmt.Errorf("ask %s: %w", address, err)
	}
	return readWire(out)
}

func wireRequest(in *admin.CheckRequest) *authv3.CheckRequest {
	headers := map[string]string{":method": in.Method, ":path": in.Path, ":authority": in.Host}
	for name, value := range in.Headers {
		headers[strings.ToLower(name)] = value
	}
	if in.Token != "" {
		headers["authorization"] = "Bearer " + in.Token
	}
	a := &authv3.AttributeContext{Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
		Method: in.Method, Path: in.Path, Host: in.Host, Headers: headers, Body: in.Body, Size: int64(len(in.Body)), Scheme: "http", Protocol: "HTTP/1.1",
	}}}
	if in.Address != "" {
		a.Source = &authv3.AttributeContext_Peer{Address: &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{Address: in.Address}}}}
	}
	return &authv3.CheckRequest{Attributes: a}
}

func readWire(r *authv3.CheckResponse) (*wireAnswer, error) {
	out := &wireAnswer{Set: [][2]string{}}
	take := func(list []*corev3.HeaderValueOption) {
		for _, h := range list {
			value := h.GetHeader().GetValue()
			if raw := h.GetHeader().GetRawValue(); len(raw) > 0 {
				value = string(raw)
			}
			out.Set = append(out.Set, [2]string{h.GetHeader().GetKey(), value})
		}
	}
	if denied := r.GetDeniedResponse(); denied != nil {
		out.Status, out.Body = int(denied.GetStatus().GetCode()), denied.GetBody()
		take(denied.GetHeaders())
		return out, nil
	}
	ok := r.GetOkResponse()
	if r.GetStatus() == nil || r.GetStatus().GetCode() != 0 || ok == nil {
		return nil, errors.New("the answer is neither an allow nor a refusal; is that patrol?")
	}
	out.Allowed, out.Status, out.Removed = true, http.StatusOK, ok.GetHeadersToRemove()
	take(ok.GetHeaders())
	return out, nil
}

func showWire(t *table, out *wireAnswer) {
	answer := "refused"
	if out.Allowed {
		answer = "allowed"
	}
	t.row("answer", answer)
	t.row("status", out.Status)
	for _, h := range out.Set {
		t.row("header", h[0]+": "+h[1])
	}
	for _, name := range out.Removed {
		t.row("taken away", name)
	}
	if out.Body != "" {
		t.row("body", strings.TrimSpace(out.Body))
	}
}
