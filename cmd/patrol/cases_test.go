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
	"path/filepath"
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
	"github.com/patrol-authz/patrol/authz/decide"
	"github.com/patrol-authz/patrol/authz/engine"
	"github.com/patrol-authz/patrol/authz/extauthz"
	"github.com/patrol-authz/patrol/authz/input"
	"github.com/patrol-authz/patrol/bundles"
	"github.com/patrol-authz/patrol/deploy/envoy"
	"github.com/patrol-authz/patrol/rego"
	envoytest "github.com/patrol-authz/patrol/test/envoy"
)

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

// tier runs a case and gives the reason and, where a client is answered, the
// status.
type tier struct {
	http bool // clients are answered
	run  func(t *testing.T, c *testCase) wanted
}

// TestCases runs each case through Rego, the engine with both evaluators, the
// gRPC server and the real Envoy in both configurations.
func TestCases(t *testing.T) {
	upstream := caseUpstream(t)
	counts, left := map[string]int{}, map[string]int{}
	run := func(t *testing.T, w *world, cases []*testCase) {
		tiers := tiersOf(t, w, upstream)
		for _, c := range cases {
			w.after(t, c.span())
			for _, name := range caseTiers {
				if ran := tiers[name].hold(t, name, c); ran {
					counts[name]++
				} else {
					left[name]++
				}
			}
		}
	}
	w := startApp(t, nil)
	w.populate(t, filepath.Join(casesDir, "world.json"))
	run(t, w, loadCases(t))
	for _, c := range ownCases(t) {
		t.Run(c.id, func(t *testing.T) {
			w := startApp(t, nil)
			w.carryOut(t, c.id, c.Inventory)
			run(t, w, []*testCase{c})
		})
	}
	for _, name := range caseTiers {
		count(t, "tier %s: %d cases, %d left out with a reason", name, counts[name], left[name])
		if counts[name] < leastCases[name] {
			t.Errorf("tier %s ran %d cases; at least %d are wanted", name, counts[name], leastCases[name])
		}
	}
}

// leastCases are how many cases a tier runs at least: fewer are a failure.
var leastCases = map[string]int{"rego": 145, "compiled": 145, "topdown": 145, "server": 179, "raw": 179, "strict": 179}

// tiersOf are the tiers on an inventory.
func tiersOf(t *testing.T, w *world, upstream string) map[string]tier {
	t.Helper()
	return map[string]tier{
		"rego":     {false, regoTier(t, w)},
		"compiled": {false, engineTier(t, w, engine.ModeCompiled)},
		"topdown":  {false, engineTier(t, w, engine.ModeTopdown)},
		"server":   {true, serverTier(t, w)},
		"raw":      {true, envoyTier(t, w, envoy.Raw, upstream)},
		"strict":   {true, envoyTier(t, w, envoy.Strict, upstream)},
	}
}

// caseUpstream tells what it was asked, and returns its address.
func caseUpstream(t *testing.T) string {
	t.Helper()
	upstream := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("x-seen-owner", r.Header.Get("x-patrol-owner"))
		rw.Header().Set("x-reached", "upstream")
		rw.Header().Set("x-request-id", r.Header.Get("x-request-id"))
	}))
	t.Cleanup(upstream.Close)
	return upstream.Listener.Addr().String()
}

// hold runs a case in a tier, unless it says why it is left out, and holds what
// comes of it against what is wanted.
func (r tier) hold(t *testing.T, name string, c *testCase) (ran bool) {
	t.Helper()
	why := c.Omit[name]
	if why != "" && r.http {
		return false
	}
	want := c.Want
	if name == "strict" && c.Strict != nil {
		want = *c.Strict
	}
	got := r.run(t, c)
	switch {
	case got.Reason == notAsked && why != "":
		return false
	case got.Reason == notAsked:
		t.Errorf("%s (%s): tier %s was not asked, since Go refused the request: say so in omit", c.id, c.Title, name)
		return false
	case why != "":
		t.Errorf("%s (%s): left out of tier %s (%s), which gives %s", c.id, c.Title, name, why, got.Reason)
	case got.Reason != want.Reason || r.http && got.Status != want.Status:
		t.Errorf("%s (%s) in tier %s: got %+v, want %+v", c.id, c.Title, name, got, want)
	}
	return true
}

// notAsked: Go refused the request before Rego, so that the Rego tiers have
// nothing to say of it.
const notAsked = "-"

// asking is an evaluator that notes which facts it is asked about.
type asking struct {
	authz.Evaluator
	asked *[]*authz.Facts
}

func (a asking) Evaluate(ctx context.Context, f *authz.Facts) (authz.Decision, error) {
	*a.asked = append(*a.asked, f)
	return a.Evaluator.Evaluate(ctx, f)
}

type fixedPolicy struct{ rules *authz.Ruleset }

func (p fixedPolicy) Ruleset() *authz.Ruleset { return p.rules }

// eachFacts are the facts of a case as the pipeline gathers them: one of each of
// its organizations, none where Go refuses before Rego is asked.
func eachFacts(w *world, c *testCase) (asked []*authz.Facts) {
	rules := *w.Bundles.Ruleset()
	rules.Evaluator = asking{rules.Evaluator, &asked}
	o := w.Pipeline.Options
	o.Policy = fixedPolicy{&rules}
	p := decide.New(o)
	defer p.Close()
	p.Explain(context.Background(), view(w, c))
	return asked
}

// firstRefusal asks about each organization of a case, as the pipeline does: the
// first refusal is the answer, or else the first of them.
func firstRefusal(w *world, c *testCase, ask func(*authz.Facts) (allowed bool, reason string)) wanted {
	first := wanted{Reason: notAsked}
	for _, f := range eachFacts(w, c) {
		allowed, reason := ask(f)
		if !allowed {
			return wanted{Reason: reason}
		}
		if first.Reason == notAsked {
			first.Reason = reason
		}
	}
	return first
}

// facts decides a case by the pipeline itself.
func facts(w *world, c *testCase) *authz.Outcome {
	return w.Pipeline.Explain(context.Background(), view(w, c))
}

// view is a case's request as Envoy would ask about it.
func view(w *world, c *testCase) authz.Request {
	message, err := proto.Marshal(c.checkRequest(w))
	if err != nil {
		panic(err)
	}
	r, err := extauthz.Read(string(message), nil)
	if err != nil {
		panic(err)
	}
	return r
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
		return firstRefusal(w, c, func(f *authz.Facts) (bool, string) {
			doc, err := input.Document(f)
			if err != nil {
				t.Fatal(err)
			}
			rs, err := query.Eval(context.Background(), oparego.EvalInput(doc))
			if err != nil || len(rs) != 1 {
				t.Errorf("%s: Rego gave %v, %v", c.id, rs, err)
				return false, ""
			}
			decision, _ := rs[0].Expressions[0].Value.(map[string]any)
			reason, _ := decision["reason"].(string)
			return decision["allowed"] == true, reason
		})
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
		return firstRefusal(w, c, func(f *authz.Facts) (bool, string) {
			d, err := evaluator.Evaluate(context.Background(), f)
			if err != nil {
				t.Errorf("%s: %v", c.id, err)
			}
			return d.Allowed, d.Reason
		})
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
		status := http.StatusOK
		if denied := r.GetDeniedResponse(); denied != nil {
			status = int(denied.GetStatus().GetCode())
		}
		return wanted{Reason: r.GetDynamicMetadata().GetFields()["reason"].GetStringValue(), Status: status}
	}
}

// envoyTier sends requests through a real Envoy, byte by byte, so that no
// client library mends them. The reason is read from the access log, and held
// against the answer's header and body.
func envoyTier(t *testing.T, w *world, file, upstream string, replace ...string) func(*testing.T, *testCase) wanted {
	p := envoytest.Start(t, envoy.Config{File: file, Patrol: w.listeners[0].Addr().String(), Upstream: upstream}, replace...)
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
			if code == "organization_forbidden" && (reason == "organization_unknown" || reason == "owner_not_member") {
				outside = reason
			}
			if outside != reason || code == "" {
				t.Errorf("%s behind %s: the header says %s, the access log %s", c.id, file, code, reason)
			}
			message, _ := url.PathUnescape(header.Get("x-error-message"))
			told, _ := json.Marshal(message) // as a JSON body has it
			if message == "" || !strings.Contains(body, strings.Trim(string(told), `"`)) && !strings.Contains(body, message) && !strings.Contains(body, code) {
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
