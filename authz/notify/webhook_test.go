package notify_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz/notify"
)

// posted is what a webhook received.
type posted struct {
	header http.Header
	body   []byte
}

func hook(t *testing.T, status int) (address string, got *posted) {
	t.Helper()
	got = &posted{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got.header = r.Header
		got.body, _ = io.ReadAll(r.Body)
		w.Header().Set("Location", "http://127.0.0.1:1/")
		w.WriteHeader(status)
	}))
	t.Cleanup(s.Close)
	return s.URL, got
}

func TestWebhookCarriesFactsAndASignature(t *testing.T) {
	address, got := hook(t, http.StatusOK)
	secret := []byte("a secret of the receiver")
	w, err := notify.NewWebhook(notify.WebhookOptions{URL: address, Secret: []byte("whsec_" + base64.StdEncoding.EncodeToString(secret))})
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t, func(o *notify.Options) {
		o.Mail = nil
		o.Hooks = []notify.Hook{{Name: "ops", Transport: w}}
	})
	b.add(t, notify.ApprovalRequested, "t1")
	b.step(t)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(got.header.Get("Webhook-Id") + "." + got.header.Get("Webhook-Timestamp") + "." + string(got.body)))
	if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); got.header.Get("Webhook-Signature") != want {
		t.Errorf("the signature is %q, want %q", got.header.Get("Webhook-Signature"), want)
	}
	var body struct {
		Type, Organization, Text string
		Token                    struct {
			ID      string
			Request string
			URL     string
		}
	}
	if err := json.Unmarshal(got.body, &body); err != nil {
		t.Fatal(err)
	}
	if body.Type != notify.ApprovalRequested || body.Organization != "acme" || body.Token.ID != "t1" || body.Token.Request != "r-t1" ||
		body.Token.URL != "https://patrol.example.com/organizations/acme/review/t1" || !strings.Contains(body.Text, "bob asks") {
		t.Errorf("the body is %s", got.body)
	}
}

// TestWebhookOfAMovedDateIsAsDocumented: moved, and taken back.
func TestWebhookOfAMovedDateIsAsDocumented(t *testing.T) {
	docs, err := os.ReadFile("../../docs/console.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, ok := strings.Cut(string(docs), "(`policy_moved`):\n\n```json\n")
	example, _, end := strings.Cut(example, "```")
	if !ok || !end {
		t.Fatal("docs/console.md has no example of policy_moved")
	}
	send := func(format string, at time.Time) string {
		address, got := hook(t, http.StatusOK)
		w, err := notify.NewWebhook(notify.WebhookOptions{URL: address, Format: format})
		if err != nil {
			t.Fatal(err)
		}
		b := newBench(t, func(o *notify.Options) {
			o.Mail, o.Hooks, o.Directory = nil, []notify.Hook{{Name: "ops", Transport: w}}, movedTo(at)
		})
		e := notify.Event{Kind: notify.PolicyMoved, Organization: "acme", Owner: "bob", At: at, Key: "k"}
		if err := b.q.Add(t.Context(), []notify.Event{e}, start); err != nil {
			t.Fatal(err)
		}
		b.step(t)
		return string(got.body)
	}
	to := time.Date(2026, 5, 2, 0, 0, 0, 0, time.UTC)
	var got, want any
	body := send(notify.Facts, to)
	if err := errors.Join(json.Unmarshal([]byte(body), &got), json.Unmarshal([]byte(example), &want)); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("the body is\n%s\nand documented is\n%s\n%v", body, example, err)
	}
	back := send(notify.Facts, time.Time{})
	if strings.Contains(back, "next_token_policy") || strings.Contains(back, "enforce_at") || !strings.Contains(back, "has taken its dated change of token policy back") || !strings.Contains(back, `"token_policy":"allow_user_access_tokens"`) {
		t.Errorf("taken back: %s", back)
	}
	if text, want := send(notify.Slack, to), `{"text":"acme has moved its change of token policy to 2026-05-02\nhttps://patrol.example.com/organizations/acme/policy"}`; text != want {
		t.Errorf("for Slack: %s, want %s", text, want)
	}
}

// recommending tells what the review rules say of each token.
type recommending struct{ *directory }

func (d recommending) Subject(ctx context.Context, e notify.Event) (*notify.Subject, error) {
	s, err := d.directory.Subject(ctx, e)
	if err != nil || s == nil {
		return s, err
	}
	s.Token.Comment, s.Token.Status, s.Token.Purpose = "", "pending", "nightly builds"
	s.Token.Recommendation = &notify.Recommendation{Action: "escalate", Reasons: []notify.RecommendationReason{{Rule: "no_end", Action: "escalate", Why: "It never expires"}}}
	if e.Kind == notify.TokenDenied {
		s.Token.Request = "decided"
	}
	return s, nil
}

// TestWebhookOfANewRequestIsAsDocumented, with what the review rules say; of what
// is decided they say nothing any more.
func TestWebhookOfANewRequestIsAsDocumented(t *testing.T) {
	docs, err := os.ReadFile("../../docs/console.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, ok := strings.Cut(string(docs), "(`approval_requested`):\n\n```json\n")
	example, _, end := strings.Cut(example, "```")
	if !ok || !end {
		t.Fatal("docs/console.md has no example of approval_requested")
	}
	send := func(kind string) string {
		address, got := hook(t, http.StatusOK)
		w, err := notify.NewWebhook(notify.WebhookOptions{URL: address})
		if err != nil {
			t.Fatal(err)
		}
		b := newBench(t, func(o *notify.Options) {
			o.Mail, o.Hooks, o.Directory = nil, []notify.Hook{{Name: "ops", Transport: w}}, recommending{o.Directory.(*directory)}
		})
		b.add(t, kind, "t1")
		b.step(t)
		return string(got.body)
	}
	var got, want any
	body := send(notify.ApprovalRequested)
	if err := errors.Join(json.Unmarshal([]byte(body), &got), json.Unmarshal([]byte(example), &want)); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("the body is\n%s\nand documented is\n%s\n%v", body, example, err)
	}
	if body := send(notify.TokenDenied); !strings.Contains(body, `"id":"t1"`) || strings.Contains(body, "recommendation") {
		t.Errorf("of what is decided the body is %s", body)
	}
}

// movedTo tells of a change of acme's policy at a time; zero: of none.
type movedTo time.Time

func (m movedTo) Administrators(context.Context, string) ([]notify.Person, error) { return nil, nil }

func (m movedTo) Subject(_ context.Context, e notify.Event) (*notify.Subject, error) {
	o := notify.Organization{ID: "1", Name: "acme", TokenPolicy: "allow_user_access_tokens", EnforceAt: time.Time(m)}
	if !o.EnforceAt.IsZero() {
		o.NextTokenPolicy = "only_fine_grained_tokens"
	}
	return &notify.Subject{Organization: o, Owner: notify.Person{Name: e.Owner}}, nil
}

// TestWebhooksTellWhatADatedChangeStops: whose tokens, and how many.
func TestWebhooksTellWhatADatedChangeStops(t *testing.T) {
	for kind, want := range map[string]string{
		notify.PolicyDated:  `"owner":"bob","tokens":[{"id":"t1","display_name":"ci t1","kind":"write","owner":"bob","why":"Token type not allowed","url":"https://patrol.example.com/tokens/t1?organization=acme"}]`,
		notify.PolicyComing: `"stops":{"tokens":3,"owners":2,"used":1,"days":30}`,
	} {
		address, got := hook(t, http.StatusOK)
		w, err := notify.NewWebhook(notify.WebhookOptions{URL: address})
		if err != nil {
			t.Fatal(err)
		}
		b := newBench(t, func(o *notify.Options) {
			o.Mail, o.Hooks, o.Directory = nil, []notify.Hook{{Name: "ops", Transport: w}}, toldAll{o.Directory.(*directory)}
		})
		e := notify.Event{Kind: kind, Organization: "acme", Key: kind, At: start}
		if kind == notify.PolicyDated {
			e.Owner = "bob"
		}
		if err := b.q.Add(t.Context(), []notify.Event{e}, start); err != nil {
			t.Fatal(err)
		}
		b.step(t)
		if !strings.Contains(string(got.body), want) || strings.Contains(string(got.body), `"token":`) {
			t.Errorf("%s: the body is %s, without %s", kind, got.body, want)
		}
	}
}

func TestWebhookForSlackMakesNoMentions(t *testing.T) {
	address, got := hook(t, http.StatusOK)
	w, err := notify.NewWebhook(notify.WebhookOptions{URL: address, Format: notify.Slack})
	if err != nil {
		t.Fatal(err)
	}
	m := *sample
	m.Subject = "<!channel> & more"
	if err := w.Send(t.Context(), &m); err != nil {
		t.Fatal(err)
	}
	if want := `{"text":"\u0026lt;!channel\u0026gt; \u0026amp; more"}`; string(got.body) != want {
		t.Errorf("the body is %s, want %s", got.body, want)
	}
}

func TestWebhookAnswers(t *testing.T) {
	for status, want := range map[int]string{
		200: "", 204: "", 302: "permanent", 400: "permanent", 404: "permanent", 410: "permanent", 408: "again", 429: "again", 500: "again", 503: "again",
	} {
		address, _ := hook(t, status)
		w, err := notify.NewWebhook(notify.WebhookOptions{URL: address})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		var permanent *notify.Permanent
		if err := w.Send(t.Context(), sample); errors.As(err, &permanent) {
			got = "permanent"
		} else if err != nil {
			got = "again"
		}
		if got != want {
			t.Errorf("%d: %q, want %q", status, got, want)
		}
	}
}

func TestWebhookAddressesThatAreRefused(t *testing.T) {
	for _, address := range []string{"", "hooks.example.com/x", "http://hooks.example.com/x", "ftp://localhost/x", "file:///etc/passwd"} {
		if _, err := notify.NewWebhook(notify.WebhookOptions{URL: address}); err == nil {
			t.Errorf("%q is taken", address)
		}
	}
}
