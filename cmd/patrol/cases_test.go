package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	opabundle "github.com/open-policy-agent/opa/v1/bundle"
	oparego "github.com/open-policy-agent/opa/v1/rego"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/engine"
	"github.com/patrol-authz/patrol/authz/extauthz"
	"github.com/patrol-authz/patrol/authz/input"
	"github.com/patrol-authz/patrol/bundles"
	"github.com/patrol-authz/patrol/deploy/envoy"
	"github.com/patrol-authz/patrol/rego"
	envoytest "github.com/patrol-authz/patrol/test/envoy"
)

const casesDir = "../../testdata/cases"

// testCase is one decision: a file of testdata/cases.
type testCase struct {
	id      string
	Title   string `json:"title"`
	After   string `json:"after"` // how long after the inventory was made
	Request struct {
		Method  string      `json:"method"`
		Path    string      `json:"path"`
		Host    string      `json:"host"`
		Headers [][2]string `json:"headers"`
		Body    string      `json:"body"`
	} `json:"request"`
	Want wanted `json:"want"`
	// Strict is what comes of it behind the strict Envoy, where that differs.
	Strict *wanted `json:"strict"`
	// Omit names tiers that the case is left out of, each with its reason.
	Omit map[string]string `json:"omit"`
}

// wanted is a reason, or a status that Envoy itself answers with.
type wanted struct {
	Reason string `json:"reason"`
	Status int    `json:"status"`
}

func loadCases(t *testing.T) []*testCase {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(casesDir, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	sort.Strings(files)
	var out []*testCase
	for _, f := range files {
		id := strings.TrimSuffix(filepath.Base(f), ".json")
		if id == "world" {
			continue
		}
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		c := &testCase{id: id}
		dec := json.NewDecoder(strings.NewReader(string(text)))
		dec.DisallowUnknownFields()
		if err := dec.Decode(c); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		out = append(out, c)
	}
	// By the clock, so that it moves forward only.
	sort.SliceStable(out, func(i, j int) bool { return out[i].span() < out[j].span() })
	return out
}

func (c *testCase) span() time.Duration {
	d, _ := time.ParseDuration(c.After)
	return d
}

// headers fills {name} in header values by secrets.
func (c *testCase) headers(w *world) [][2]string {
	var out [][2]string
	for _, h := range c.Request.Headers {
		v := h[1]
		for name, secret := range w.secrets {
			raw := secret.Reveal()
			v = strings.NewReplacer("{"+name+"}", raw, "{upper:"+name+"}", strings.ToUpper(raw), "{prefix:"+name+"}", raw[:len(raw)-1],
				"{basic:"+name+"}", base64.StdEncoding.EncodeToString([]byte("git:"+raw))).Replace(v)
		}
		out = append(out, [2]string{h[0], v})
	}
	return out
}

func (c *testCase) checkRequest(w *world) *authv3.CheckRequest {
	host := c.Request.Host
	if host == "" {
		host = "hub.example"
	}
	h := map[string]string{":method": c.Request.Method, ":path": c.Request.Path, ":authority": host}
	for _, kv := range c.headers(w) {
		if have, ok := h[kv[0]]; ok {
			kv[1] = have + "," + kv[1]
		}
		h[kv[0]] = kv[1]
	}
	if c.Request.Body != "" {
		h["x-envoy-auth-partial-body"] = "false"
	}
	return &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		Source: &authv3.AttributeContext_Peer{Address: &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{Address: "192.0.2.7"}}}},
		Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
			Method: c.Request.Method, Path: c.Request.Path, Host: host, Headers: h, Body: c.Request.Body, Size: int64(len(c.Request.Body)),
		}},
	}}
}

// tier runs a case and gives the reason, or a status where Envoy answered.
type tier struct {
	name  string
	least int // fewer cases than this are a failure
	run   func(t *testing.T, c *testCase) wanted
}

// TestCases runs each case through Rego, the engine with both evaluators, the
// gRPC server and the real Envoy in both configurations.
func TestCases(t *testing.T) {
	w := startApp(t, nil)
	w.populate(t, filepath.Join(casesDir, "world.json"))
	upstream := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("x-seen-owner", r.Header.Get("x-patrol-owner"))
		rw.Header().Set("x-reached", "upstream")
		rw.Header().Set("x-request-id", r.Header.Get("x-request-id"))
	}))
	defer upstream.Close()
	tiers := []tier{
		{"rego", 110, regoTier(t, w)},
		{"compiled", 110, engineTier(t, w, engine.ModeCompiled)},
		{"topdown", 110, engineTier(t, w, engine.ModeTopdown)},
		{"server", 155, serverTier(t, w)},
		{"raw", 155, envoyTier(t, w, envoy.Raw, upstream.Listener.Addr().String())},
		{"strict", 150, envoyTier(t, w, envoy.Strict, upstream.Listener.Addr().String())},
	}
	counts := map[string]int{}
	for _, c := range loadCases(t) {
		w.after(t, c.span())
		for _, tier := range tiers {
			if why := c.Omit[tier.name]; why != "" {
				continue
			}
			want := c.Want
			if tier.name == "strict" && c.Strict != nil {
				want = *c.Strict
			}
			got := tier.run(t, c)
			if got.Reason == notAsked {
				continue
			}
			counts[tier.name]++
			if got.Reason != want.Reason || want.Status != 0 && got.Status != want.Status {
				t.Errorf("%s (%s) in tier %s: got %+v, want %+v", c.id, c.Title, tier.name, got, want)
			}
		}
	}
	for _, tier := range tiers {
		t.Logf("tier %s: %d cases", tier.name, counts[tier.name])
		if counts[tier.name] < tier.least {
			t.Errorf("tier %s ran %d cases; at least %d are wanted", tier.name, counts[tier.name], tier.least)
		}
	}
}

// notAsked: Go refused the request before Rego, so that the Rego tiers have
// nothing to say of it.
const notAsked = "-"

// facts gathers the facts of a case, by the pipeline itself.
func facts(w *world, c *testCase) *authz.Outcome {
	message, err := proto.Marshal(c.checkRequest(w))
	if err != nil {
		panic(err)
	}
	r, err := extauthz.Read(string(message), nil)
	if err != nil {
		panic(err)
	}
	return w.Pipeline.Explain(context.Background(), r)
}

func regoTier(t *testing.T, w *world) func(*testing.T, *testCase) wanted {
	t.Helper()
	l, err := opabundle.NewFSLoader(rego.Base())
	if err != nil {
		t.Fatal(err)
	}
	b, err := opabundle.NewCustomReader(l).Read()
	if err != nil {
		t.Fatal(err)
	}
	query, err := oparego.New(oparego.Query("data.patrol.authz.decision"), oparego.ParsedBundle("base", &b)).PrepareForEval(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return func(t *testing.T, c *testCase) wanted {
		o := facts(w, c)
		if o.Facts == nil {
			return wanted{Reason: notAsked}
		}
		doc, err := input.Document(o.Facts)
		if err != nil {
			t.Fatal(err)
		}
		rs, err := query.Eval(context.Background(), oparego.EvalInput(doc))
		if err != nil || len(rs) != 1 {
			t.Errorf("%s: Rego gave %v, %v", c.id, rs, err)
			return wanted{}
		}
		reason, _ := rs[0].Expressions[0].Value.(map[string]any)["reason"].(string)
		return wanted{Reason: reason}
	}
}

func engineTier(t *testing.T, w *world, mode string) func(*testing.T, *testCase) wanted {
	t.Helper()
	report, err := bundles.Check(context.Background(), gateOptions(PolicyConfig{Evaluator: mode}, nil))
	if err != nil {
		t.Fatal(err)
	}
	evaluator := report.Ruleset.Evaluator
	if evaluator.Name() != mode {
		t.Fatalf("the base bundle is evaluated by %s, not %s", evaluator.Name(), mode)
	}
	return func(t *testing.T, c *testCase) wanted {
		o := facts(w, c)
		if o.Facts == nil {
			return wanted{Reason: notAsked}
		}
		d, err := evaluator.Evaluate(context.Background(), o.Facts)
		if err != nil {
			t.Errorf("%s: %v", c.id, err)
		}
		return wanted{Reason: d.Reason}
	}
}

func serverTier(t *testing.T, w *world) func(*testing.T, *testCase) wanted {
	conn, err := grpc.NewClient(w.listeners[0].Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	client := authv3.NewAuthorizationClient(conn)
	return func(t *testing.T, c *testCase) wanted {
		r, err := client.Check(context.Background(), c.checkRequest(w))
		if err != nil {
			t.Errorf("%s: %v", c.id, err)
			return wanted{}
		}
		if (r.GetStatus().GetCode() == 0) != (r.GetOkResponse() != nil) || r.GetStatus() == nil {
			t.Errorf("%s: the status %v does not fit the answer", c.id, r.GetStatus())
		}
		return wanted{Reason: r.GetDynamicMetadata().GetFields()["reason"].GetStringValue()}
	}
}

// envoyTier sends requests through a real Envoy, byte by byte, so that no
// client library mends them. The reason is read from the access log, and held
// against the answer's header and body.
func envoyTier(t *testing.T, w *world, file, upstream string) func(*testing.T, *testCase) wanted {
	p := envoytest.Start(t, envoy.Config{File: file, Patrol: w.listeners[0].Addr().String(), Upstream: upstream})
	return func(t *testing.T, c *testCase) wanted {
		id := fmt.Sprintf("%s-%s", c.id, file)
		status, header, body := send(t, p.Address, c, w, id)
		out := wanted{Status: status}
		request := header.Get("x-request-id")
		if request == "" { // Envoy refused it itself
			return out
		}
		reason := envoytest.Access(t, p, request).AuthzReason
		out.Reason = reason
		if code := header.Get("x-error-code"); status >= 400 {
			outside := code
			if code == "organization_forbidden" {
				outside = reason
			}
			if outside != reason {
				t.Errorf("%s behind %s: the header says %s, the access log %s", c.id, file, code, reason)
			}
			message, _ := url.PathUnescape(header.Get("x-error-message"))
			told, _ := json.Marshal(message) // as a JSON body has it
			if !strings.Contains(body, strings.Trim(string(told), `"`)) && !strings.Contains(body, message) && !strings.Contains(body, code) {
				t.Errorf("%s behind %s: the body tells no reason: %.200s", c.id, file, body)
			}
		} else if header.Get("x-reached") != "upstream" {
			t.Errorf("%s behind %s: allowed, and not from the upstream", c.id, file)
		}
		return out
	}
}

func send(t *testing.T, address string, c *testCase, w *world, id string) (int, http.Header, string) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	host := c.Request.Host
	if host == "" {
		host = "hub.example"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nhost: %s\r\nconnection: close\r\n", c.Request.Method, c.Request.Path, host)
	for _, h := range c.headers(w) {
		fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	if c.Request.Body != "" || c.Request.Method == "POST" {
		fmt.Fprintf(&b, "content-length: %d\r\n", len(c.Request.Body))
	}
	b.WriteString("\r\n" + c.Request.Body)
	if _, err := io.WriteString(conn, b.String()); err != nil {
		t.Fatalf("%s: %v", id, err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: c.Request.Method})
	if err != nil {
		t.Errorf("%s: %v", id, err)
		return 0, http.Header{}, ""
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, string(body)
}
