package extauthz

import (
	"context"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/patrol-authz/patrol/authz"
)

func TestWhoseWordCounts(t *testing.T) {
	unix := &net.UnixAddr{Name: "@", Net: "unix"}
	tcp := func(ip string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: 40000} }
	for name, c := range map[string]struct {
		trusted []string
		from    net.Addr
		counts  bool
	}{
		"nobody, over a socket":              {nil, unix, false},
		"nobody, over TCP":                   {nil, tcp("127.0.0.1"), false},
		"a socket":                           {[]string{"unix"}, unix, true},
		"a socket is trusted, and no TCP":    {[]string{"unix"}, tcp("127.0.0.1"), false},
		"an address":                         {[]string{"10.0.0.7"}, tcp("10.0.0.7"), true},
		"another address":                    {[]string{"10.0.0.7"}, tcp("10.0.0.8"), false},
		"an address is trusted, no socket":   {[]string{"10.0.0.7"}, unix, false},
		"a network":                          {[]string{"unix", "10.1.0.0/16"}, tcp("10.1.2.3"), true},
		"outside of it":                      {[]string{"10.1.0.0/16"}, tcp("10.2.0.1"), false},
		"IPv4 that was mapped into IPv6":     {[]string{"10.1.0.0/16"}, tcp("::ffff:10.1.2.3"), true},
		"IPv6":                               {[]string{"fd00::/8"}, tcp("fd00::1"), true},
		"no address at all":                  {[]string{"unix", "10.0.0.0/8"}, nil, false},
		"an address of another kind (pipes)": {[]string{"unix", "10.0.0.0/8"}, &net.IPAddr{IP: net.ParseIP("10.0.0.1")}, false},
	} {
		t.Run(name, func(t *testing.T) {
			trust, err := ParseTrust(c.trusted)
			if err != nil {
				t.Fatal(err)
			}
			ctx := context.Background()
			if trust.counts(ctx) {
				t.Error("the word of a call from nowhere counts")
			}
			if got := trust.counts(peer.NewContext(ctx, &peer.Peer{Addr: c.from})); got != c.counts {
				t.Errorf("counts: %t", got)
			}
		})
	}
	for _, bad := range []string{"", "everybody", "10.0.0.0/33", "10.0.0.1/8", "0.0.0.0/0", "::/0", "host:1", "tls:", "tls:*.example.com"} {
		if _, err := ParseTrust([]string{"unix", bad}); err == nil || !strings.HasPrefix(err.Error(), "[1]: ") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// asked keeps the request that it is asked about.
type asked struct {
	t    *testing.T
	seen map[string]any
}

func (a *asked) Begin(_ context.Context, r authz.Request) authz.Deciding {
	var err error
	if a.seen, err = r.(authz.Vouched).Metadata("envoy.filters.http.jwt_authn"); err != nil {
		a.t.Error(err)
	}
	return a
}

func (*asked) Evaluate(context.Context) {}

func (a *asked) Outcome() *authz.Outcome { return a.Refuse(context.Background(), "", "") }

func (*asked) Refuse(context.Context, string, string) *authz.Outcome {
	r := authz.BuiltinReasons[authz.ReasonPolicyError]
	return &authz.Outcome{Reason: r, Decision: authz.Decision{Reason: r.Code}}
}

// metadata is a message that says that jwt_authn verified claims.
func metadata(t *testing.T, claims map[string]any, where func(*authv3.AttributeContext, *corev3.Metadata)) string {
	t.Helper()
	noted, err := structpb.NewStruct(claims)
	if err != nil {
		t.Fatal(err)
	}
	a := &authv3.AttributeContext{Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{Method: "GET", Path: "/"}}}
	where(a, &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{"envoy.filters.http.jwt_authn": noted}})
	b, err := proto.Marshal(&authv3.CheckRequest{Attributes: a})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestMetadataIsShownOfWhomIsTrusted(t *testing.T) {
	claims := map[string]any{"corp": map[string]any{"sub": "bob", "exp": 1.5}}
	verified := metadata(t, claims, func(a *authv3.AttributeContext, m *corev3.Metadata) { a.MetadataContext = m })
	ofRoute := metadata(t, claims, func(a *authv3.AttributeContext, m *corev3.Metadata) { a.RouteMetadataContext = m })
	from := peer.NewContext(context.Background(), &peer.Peer{Addr: &net.UnixAddr{Name: "@", Net: "unix"}})
	for name, c := range map[string]struct {
		trust   Trust
		message string
		want    map[string]any
	}{
		"trusted":                          {Trust{Unix: true}, verified, claims},
		"not trusted":                      {Trust{}, verified, nil},
		"another is trusted":               {Trust{Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, verified, nil},
		"trusted, of the route":            {Trust{Unix: true}, ofRoute, nil},
		"trusted, said twice: the last is": {Trust{Unix: true}, verified + metadata(t, map[string]any{"b": "c"}, func(a *authv3.AttributeContext, m *corev3.Metadata) { a.MetadataContext = m }), map[string]any{"b": "c"}},
	} {
		t.Run(name, func(t *testing.T) {
			decider := &asked{t: t}
			New(Options{Decider: decider, Trust: c.trust}).Check(from, c.message, nil)
			if !reflect.DeepEqual(decider.seen, c.want) {
				t.Errorf("shown: %v", decider.seen)
			}
		})
	}
}
