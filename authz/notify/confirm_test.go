package notify_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz/notify"
)

// asks makes the bench's directory ask bob about an address.
func (b *bench) asks(email string) {
	b.dir.confirm = &notify.Confirmation{User: "bob", Email: email, Code: "code-of-" + email, Until: start.AddDate(0, 0, 7)}
}

// TestAConfirmationGoesToTheAddressInQuestion and to nothing else: no webhook, and
// not the address before, though a mail to that one waits yet.
func TestAConfirmationGoesToTheAddressInQuestion(t *testing.T) {
	hook := &outbox{}
	b := newBench(t, func(o *notify.Options) { o.Hooks = []notify.Hook{{Name: "chat", Transport: hook}} })
	b.asks("old@example.com")
	b.mail.fail = errors.New("not now")
	b.add(t, notify.AddressConfirmation, "")
	b.step(t)
	b.asks("new@example.com")
	b.mail.fail = nil
	b.at.add(time.Hour)
	b.step(t)
	if len(b.mail.got) > 0 || b.q.states(notify.Skipped) != 1 {
		t.Errorf("the address before was mailed: %v", b.to())
	}
	b.add(t, notify.AddressConfirmation, "again")
	b.step(t)
	if got := b.to(); !slices.Equal(got, []string{"new@example.com: Is this your address, bob?"}) {
		t.Errorf("arrived: %v", got)
	}
	if text := b.mail.got[0].Text; !strings.Contains(text, "https://patrol.example.com/confirm?code=code-of-new%40example.com") {
		t.Errorf("the mail leads nowhere:\n%s", text)
	}
	if len(hook.got) > 0 {
		t.Errorf("a webhook was told: %+v", hook.got[0])
	}
}

// TestWithoutAPageNoLinkIsMailed: it would lead nowhere.
func TestWithoutAPageNoLinkIsMailed(t *testing.T) {
	b := newBench(t, func(o *notify.Options) { o.PublicURL = "" })
	b.asks("bob@example.com")
	b.add(t, notify.AddressConfirmation, "")
	b.step(t)
	if len(b.mail.got) > 0 {
		t.Errorf("arrived: %v", b.to())
	}
}
