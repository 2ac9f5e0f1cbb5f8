package answer

import (
	"encoding/base64"
	"encoding/json"
	"html/template"
	"strconv"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/patrol-authz/patrol/authz"
)

// Form is how a client reads a refusal.
type Form struct {
	name string
	// basic clients authenticate by Basic only.
	basic  bool
	render func(*Answer, *problem)
}

var (
	jsonForm     = &Form{name: "json", render: (*Answer).json}
	gitForm      = &Form{name: "git", basic: true, render: (*Answer).plain}
	lfsForm      = &Form{name: "lfs", basic: true, render: (*Answer).lfs}
	grpcForm     = &Form{name: "grpc", render: (*Answer).grpc}
	registryForm = &Form{name: "registry", render: (*Answer).registry}
	browserForm  = &Form{name: "browser", render: (*Answer).page}
)

// IsJSON says whether the body is a JSON document.
func (f *Form) IsJSON() bool { return f == jsonForm || f == lfsForm || f == registryForm }

// IsPage says whether the body is a page of HTML.
func (f *Form) IsPage() bool { return f == browserForm }

// HasDetails says whether a refusal has a header [DetailsHeader].
func (f *Form) HasDetails() bool { return f == grpcForm }

// FormOf tells the client by what it sent. Whatever it claims to be, only the
// form of a refusal depends on it.
func FormOf(r authz.Request) *Form {
	if r == nil {
		return jsonForm
	}
	header := func(name string) string { v, _ := r.Header(name); return strings.ToLower(v) }
	path, query, _ := strings.Cut(r.Path(), "?")
	content, accept, agent := header("content-type"), header("accept"), header("user-agent")
	switch {
	case content == "application/grpc" || strings.HasPrefix(content, "application/grpc+") || strings.HasPrefix(content, "application/grpc;"):
		return grpcForm
	case strings.Contains(accept, "application/vnd.git-lfs+json") || strings.Contains(content, "application/vnd.git-lfs+json") || strings.HasPrefix(agent, "git-lfs/"):
		return lfsForm
	case strings.HasPrefix(agent, "git/") || strings.HasPrefix(content, "application/x-git-") || strings.HasSuffix(path, "/info/refs") && strings.Contains(query, "service=git-"):
		return gitForm
	case path == "/v2" || strings.HasPrefix(path, "/v2/"):
		return registryForm
	case strings.HasPrefix(accept, "text/html") && strings.HasPrefix(agent, "mozilla/"):
		return browserForm
	}
	return jsonForm
}

// document is the object that serves all JSON clients: RFC 9457's members, and
// what others look for.
func (p *problem) document() map[string]any {
	o := p.outcome
	d := map[string]any{
		"type": "about:blank", "title": p.reason.Title, "status": p.reason.HTTPStatus, "detail": p.message,
		"code": p.reason.OutsideCode(), "error": p.message, "message": p.message, "request_id": o.RequestID,
	}
	f := o.Facts
	if f == nil || p.hidden() {
		return d
	}
	if f.Token != nil {
		d["token"] = f.Token.ID
	}
	if !p.inside() {
		return d
	}
	d["organization"] = f.Organization.Name
	if p.reason.Code == authz.ReasonApprovalPending && o.Approval != nil {
		approval := map[string]any{"state": o.Approval.State}
		if o.Approval.ID != "" {
			approval["id"] = o.Approval.ID
		}
		if link := p.link(); link != "" {
			approval["url"] = link
		}
		d["approval"] = approval
	}
	return d
}

func (a *Answer) encode(contentType string, document map[string]any) {
	b, err := json.Marshal(document)
	if err != nil { // a map of texts and numbers cannot fail; be closed all the same
		b = []byte(`{"error":"denied"}`)
	}
	a.add("content-type", contentType)
	a.Body = string(b)
}

func (a *Answer) json(p *problem) { a.encode("application/problem+json", p.document()) }

func (a *Answer) lfs(p *problem) { a.encode("application/vnd.git-lfs+json", p.document()) }

func (a *Answer) registry(p *problem) {
	d := p.document()
	code := "DENIED"
	if p.reason.HTTPStatus == 401 {
		code = "UNAUTHORIZED"
	}
	d["errors"] = []any{map[string]any{"code": code, "message": p.message}}
	a.encode("application/json", d)
}

func (a *Answer) plain(p *problem) {
	a.add("content-type", "text/plain; charset=utf-8")
	a.Body = p.message
}

// DetailsHeader holds a google.rpc.Status that gRPC's libraries decode.
const DetailsHeader = "grpc-status-details-bin"

// grpc gives the bare sentence, which Envoy makes grpc-message of, and the
// details. A status that clients would try again is given only where trying
// again helps.
func (a *Answer) grpc(p *problem) {
	a.Body = p.message
	a.add("grpc-status", strconv.Itoa(p.reason.GRPCStatus))
	a.add(DetailsHeader, p.details())
}

// Details is what [DetailsHeader] says to a refused gRPC client; "" where that
// cannot be encoded.
func Details(o *authz.Outcome, opts Options) string {
	if o.Reason == nil || o.Reason.Allow {
		return ""
	}
	p := &problem{outcome: o, reason: o.Reason, opts: &opts}
	p.message = p.sentence()
	return p.details()
}

func (p *problem) details() string {
	info := &errdetails.ErrorInfo{
		Reason: strings.ToUpper(p.reason.OutsideCode()), Domain: "patrol",
		Metadata: map[string]string{"request_id": p.outcome.RequestID},
	}
	if f := p.outcome.Facts; f != nil && !p.hidden() {
		if p.inside() {
			info.Metadata["organization"] = f.Organization.Name
		}
		if f.Token != nil {
			info.Metadata["token"] = f.Token.ID
		}
	}
	detail := &anypb.Any{}
	same := proto.MarshalOptions{Deterministic: true}
	if err := anypb.MarshalFrom(detail, info, same); err != nil {
		return ""
	}
	message := strings.ToValidUTF8(p.message, "?")
	b, err := same.Marshal(&status.Status{Code: int32(p.reason.GRPCStatus), Message: message, Details: []*anypb.Any{detail}}) //nolint:gosec // One of 17.
	if err != nil {
		return ""
	}
	return base64.RawStdEncoding.EncodeToString(b)
}

var page = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}}</title><style>:root{color-scheme:light dark}body{font:1rem/1.5 system-ui,sans-serif;max-width:38rem;margin:12vh auto;padding:0 1rem}code{opacity:.7}</style></head>
<body><main><h1>{{.Title}}</h1><p>{{.Message}}</p>{{with .Link}}<p><a href="{{.}}">What you can do</a></p>{{end}}<p><code>{{.Code}} · {{.RequestID}}</code></p></main></body></html>
`))

func (a *Answer) page(p *problem) {
	var b strings.Builder
	err := page.Execute(&b, map[string]string{
		"Title": p.reason.Title, "Message": p.message, "Link": p.link(), "Code": p.reason.OutsideCode(), "RequestID": p.outcome.RequestID,
	})
	if err != nil {
		a.plain(p)
		return
	}
	a.add("content-type", "text/html; charset=utf-8")
	a.add("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	a.add("cache-control", "no-store")
	a.Body = b.String()
}
