package notify_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

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
