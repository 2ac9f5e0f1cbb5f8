package record_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/record"
)

// allow is an allow in the organization o1, or another.
func allow(id, organization string, at time.Time) *authz.Outcome {
	o := refusal(id, at)
	o.Decision = authz.Decision{Allowed: true, Reason: "allowed"}
	o.Reason, o.Approval, o.Err = &authz.Reason{Allow: true}, nil, nil
	o.Facts.Organization = &authz.Organization{ID: organization, Name: organization}
	return o
}

var errEnough = errors.New("enough")

// told are so many decisions that somebody who follows is told of.
func told(t *testing.T, f *record.Follower, most int) (all []record.Decision, missed int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	missed, err := f.Each(ctx, func(line []byte) error {
		if strings.Contains(string(line), secret) {
			t.Errorf("the secret is told: %s", line)
		}
		var d record.Decision
		if err := json.Unmarshal(line, &d); err != nil {
			return err
		}
		if all = append(all, d); len(all) == most {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		t.Fatal(err)
	}
	return all, missed
}

func TestWhoFollowsIsToldOfAllowsToo(t *testing.T) {
	c := &clock{}
	r := open(t, record.Options{Dir: t.TempDir()}, c)
	r.Record(allow("before", "o1", c.now()))
	one := r.Follow(func(o *authz.Outcome) bool { return o.Facts.Organization.ID == "o1" })
	r.Record(allow("a", "o1", c.now()))
	r.Record(allow("elsewhere", "o2", c.now()))
	r.Record(refusal("r", c.now()))
	all, missed := told(t, one, 2)
	if missed != 0 || len(all) != 2 {
		t.Fatalf("%d missed, %+v", missed, all)
	}
	if a := all[0]; a.RequestID != "a" || !a.Allowed || a.Reason != "allowed" || a.Message != "" || a.Request.Path != "/api/models/acme/m" || len(a.Facts) == 0 {
		t.Errorf("the allow: %+v", a)
	}
	if a := all[1]; a.RequestID != "r" || a.Allowed || a.Reason != "approval_pending" {
		t.Errorf("the refusal: %+v", a)
	}
	// What is told is not what is kept.
	if find(t, r, "a") != nil || find(t, r, "r") == nil {
		t.Error("an allow is kept, or a refusal is not")
	}
}

func TestWhoFollowsHoldsNobodyUp(t *testing.T) {
	c := &clock{}
	r := open(t, record.Options{Dir: t.TempDir(), PerSource: 5}, c)
	one := r.Follow(func(*authz.Outcome) bool { return true })
	at := c.now()
	for range 50 {
		r.Record(allow("a", "o1", at)) // nobody reads
	}
	if all, missed := told(t, one, 5); len(all) != 5 || missed != 45 {
		t.Errorf("%d told, %d missed", len(all), missed)
	}
}

func TestSoManyMayFollow(t *testing.T) {
	r := open(t, record.Options{Dir: t.TempDir()}, &clock{})
	see := func(*authz.Outcome) bool { return true }
	var all []*record.Follower
	for one := r.Follow(see); one != nil; one = r.Follow(see) {
		all = append(all, one)
	}
	if len(all) != 8 {
		t.Fatalf("%d follow", len(all))
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := all[0].Each(over, nil); err != nil {
		t.Fatal(err)
	}
	if r.Follow(see) == nil {
		t.Error("one has left, and nobody may come")
	}
	// A server that stops waits for nobody.
	r.EndFollowing()
	if _, err := all[1].Each(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsKeptIsReadInOrder(t *testing.T) {
	c := &clock{}
	r := open(t, record.Options{Dir: t.TempDir(), MaxBytes: 16 << 10}, c) // some files
	other := refusal("other", c.now())
	other.Facts.Organization = &authz.Organization{ID: "o2", Name: "globex"}
	r.Record(other)
	for _, id := range []string{"1", "2", "3", "4", "5"} {
		r.Record(refusal(id, c.now()))
	}
	for organization, want := range map[string]string{"": "other 1 2 3 4 5", "o2": "other", "o3": ""} {
		var ids []string
		if err := r.Kept(t.Context(), organization, func(line []byte) error {
			var one record.Refusal
			ids = append(ids, "")
			err := json.Unmarshal(line, &one)
			ids[len(ids)-1] = one.RequestID
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("of %q: %s, want %s", organization, got, want)
		}
	}
	c.ns.Add(int64(25 * time.Hour))
	if err := r.Kept(t.Context(), "", func([]byte) error { return errors.New("too old") }); err != nil {
		t.Error(err)
	}
	r.Record(refusal("now", c.now()))
	if err := r.Kept(t.Context(), "", func([]byte) error { return errEnough }); !errors.Is(err, errEnough) {
		t.Errorf("who has enough: %v", err)
	}
}
