package snapshot

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"runtime"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// Names and ids that are drawn from: few, so that they meet.
const (
	someOrganizations = 2
	someUsers         = 2
	someTokens        = 2
	someDigests       = 2 // of each token
	someRotations     = 3 // of each token
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func digestOf(token, version int) authz.Digest {
	return authz.Digest{7, 31: byte(token*someDigests + version)}
}

// formerDigestOf is the digest of a secret that a token had before: no other
// token ever has it.
func formerDigestOf(token, rotation int) authz.Digest {
	return authz.Digest{8, 31: byte(token*someRotations + rotation)}
}

func drawTime(t *rapid.T, name string) time.Time {
	n := rapid.IntRange(0, 4).Draw(t, name)
	if n == 0 {
		return time.Time{}
	}
	return epoch.Add(time.Duration(n) * time.Hour)
}

func drawGrants(t *rapid.T) []authz.Grant {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) authz.Grant {
		o := rapid.IntRange(0, someOrganizations-1).Draw(t, "organization")
		return authz.Grant{
			Entity:      authz.Entity{Type: "organization", ID: fmt.Sprint("o", o), Name: fmt.Sprint("name", o), Namespace: fmt.Sprint("o", o)},
			Permissions: rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"read", "write", "admin"}), 1, 3, rapid.ID).Draw(t, "permissions"),
		}
	}), 0, 3).Draw(t, "grants")
}

// step changes one row of the model.
func (m *model) step(t *rapid.T) {
	o, u, k := fmt.Sprint("o", rapid.IntRange(0, someOrganizations-1).Draw(t, "o")), fmt.Sprint("u", rapid.IntRange(0, someUsers-1).Draw(t, "u")), rapid.IntRange(0, someTokens-1).Draw(t, "k")
	token := fmt.Sprint("t", k)
	switch rapid.SampledFrom([]string{"organization", "user", "member", "token", "token", "authorization", "authorization", "request", "gap"}).Draw(t, "kind") {
	case "organization":
		m.drawOrganization(t, o, u)
	case "user":
		m.users[u] = &inventory.User{ID: u, Name: "user-" + u, Type: "user"}
		m.changed[[3]string{"user", u}] = true
	case "member":
		if m.users[u] == nil {
			return
		}
		m.periods[[2]string{o, u}] = append(m.periods[[2]string{o, u}], &inventory.Period{
			OrganizationID: o, UserID: u, Role: rapid.SampledFrom([]string{"admin", "read"}).Draw(t, "role"), Since: epoch, Until: drawTime(t, "until"),
		})
		m.changed[[3]string{"member", o, u}] = true
	case "token":
		m.drawToken(t, token, k, u)
	case "authorization":
		if m.tokens[token] == nil {
			return
		}
		m.authorizations[[2]string{token, o}] = &inventory.Authorization{
			TokenID: token, OrganizationID: o, State: rapid.SampledFrom([]string{"none", "approved", "approved", "denied", "revoked"}).Draw(t, "state"),
			Grants: drawGrants(t), ExpiresAt: drawTime(t, "end"), ChangedAt: drawTime(t, "changed"), Suspended: rapid.Bool().Draw(t, "suspended"),
			Comment: rapid.StringN(0, 40, 200).Draw(t, "comment"),
		}
		m.changed[[3]string{"authorization", token, o}] = true
	case "request":
		if m.tokens[token] == nil {
			return
		}
		m.requests[[2]string{token, o}] = &inventory.Request{
			ID: rapid.StringMatching("[a-f0-9]{1,36}").Draw(t, "id"), TokenID: token, OrganizationID: o,
			State: rapid.SampledFrom([]string{"open", "decided"}).Draw(t, "state"), Grants: drawGrants(t), OpenedAt: drawTime(t, "opened"),
		}
		m.changed[[3]string{"request", token, o}] = true
	case "gap":
		m.gap = true
	}
}

func (m *model) drawOrganization(t *rapid.T, id, owner string) {
	name := rapid.SampledFrom([]string{"acme", "globex", "initech"}).Draw(t, "name")
	before := m.organizations[id]
	if other := m.organization(name); before != nil && before.Deleted || other != nil && other.ID != id {
		return // ids do not come back, and a name is one organization's
	}
	o := &inventory.Organization{
		ID: id, Name: name, Type: rapid.SampledFrom([]string{authz.TypeOrganization, authz.TypeUser}).Draw(t, "type"), OwnerID: owner,
		TokenPolicy: "p", Enforcement: authz.Enforce, Deleted: rapid.IntRange(0, 3).Draw(t, "deleted") == 0,
	}
	if before != nil {
		o.Type = before.Type
	}
	m.organizations[id] = o
	m.changed[[3]string{"organization", id}] = true
}

func (m *model) drawToken(t *rapid.T, id string, k int, owner string) {
	if m.users[owner] == nil {
		return
	}
	made := &inventory.Token{
		ID: id, Digest: digestOf(k, rapid.IntRange(0, someDigests-1).Draw(t, "digest")), DisplayName: rapid.StringN(0, 40, 200).Draw(t, "display name"),
		Last4: rapid.StringMatching("[a-z]{0,4}").Draw(t, "last4"), Kind: rapid.SampledFrom([]string{"read", "write", "fine-grained", "fine-grained"}).Draw(t, "kind"),
		OwnerID: owner, Source: rapid.SampledFrom([]string{"issued", "imported"}).Draw(t, "source"), CreatedAt: drawTime(t, "created"), ExpiresAt: drawTime(t, "expires"),
		Disabled: rapid.Bool().Draw(t, "disabled"), Deleted: rapid.IntRange(0, 3).Draw(t, "deleted") == 0,
		Global: rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b"}), 0, 2).Draw(t, "global"),
	}
	if made.Kind == authz.KindFineGrained {
		made.Grants = drawGrants(t)
	}
	if before := m.tokens[id]; before != nil {
		made.Former = rotated(t, before.Former, k)
	}
	m.tokens[id] = made
	m.changed[[3]string{"token", id}] = true
}

// rotated are the former secrets of a token, newest first, after a change that
// may be a rotation, which ends the overlap of the one before it.
func rotated(t *rapid.T, before []inventory.Former, k int) []inventory.Former {
	if len(before) == someRotations || !rapid.Bool().Draw(t, "rotated") {
		return before
	}
	at := epoch.Add(2 * time.Hour)
	former := []inventory.Former{{Digest: formerDigestOf(k, len(before)), At: at, Until: drawTime(t, "overlap")}}
	for _, f := range before {
		f.Until = at
		former = append(former, f)
	}
	return former
}

// show writes an answer down for comparison.
func show[T any](v *T) string {
	if v == nil {
		return "nothing"
	}
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// agrees asks a snapshot everything, and compares with the model.
func (m *model) agrees(t *rapid.T, s *Snapshot) {
	for k := range someTokens {
		for version := range someDigests {
			d := digestOf(k, version)
			want := m.token(d)
			got := &authz.Token{}
			if !s.Token(d, got) {
				got = nil
			}
			equal(t, "token", show(tidyToken(got)), show(tidyToken(want)))
			if got != nil {
				m.agreesOn(t, s, got)
			}
		}
	}
	for k := range someTokens {
		for rotation := range someRotations {
			d := formerDigestOf(k, rotation)
			token := &authz.Token{}
			until, known := s.Former(d, token)
			if !known {
				token = nil
			}
			want, wantUntil := m.former(d)
			equal(t, "former secret's token", show(tidyToken(token)), show(tidyToken(want)))
			equal(t, "former secret's end", until.String(), wantUntil.String())
			if s.Token(d, &authz.Token{}) {
				t.Fatal("a former secret is a token's own")
			}
		}
	}
	live := 0
	for _, token := range m.tokens {
		if !token.Deleted {
			live++
		}
	}
	if s.Tokens() != live || s.byDigest.used != live {
		t.Fatalf("%d tokens are counted, %d are known by a digest, and there are %d", s.Tokens(), s.byDigest.used, live)
	}
	named := 0
	s.EachOrganization(func(*authz.Organization) bool { named++; return true })
	if s.organizationByName.used != named {
		t.Fatalf("%d names are kept of %d organizations", s.organizationByName.used, named)
	}
}

func (m *model) agreesOn(t *rapid.T, s *Snapshot, token *authz.Token) {
	for _, name := range []string{"acme", "globex", "initech", "nobody"} {
		want, got := m.organization(name), s.Organization(name)
		if (want == nil) != (got == nil) || got != nil && (got.ID != want.ID || got.Type != want.Type || got.OwnerID != want.OwnerID) {
			t.Fatalf("the organization %s is %+v, not %+v", name, got, want)
		}
		if got == nil {
			continue
		}
		for _, u := range m.users {
			equal(t, "membership of "+u.ID+" in "+name, show(s.Membership(got, &authz.Owner{ID: u.ID})), show(m.membership(want, u.ID)))
		}
		var a authz.Access
		s.Access(token, got, &a)
		equal(t, "access of "+token.ID+" to "+name, show(tidyAccess(&a)), show(tidyAccess(m.access(m.tokens[token.ID], want))))
		// Where a record is kept is a hint alone: a wrong one changes nothing.
		lost, foreign := *token, *got
		lost.Ref, foreign.Ref = token.Ref+1, 0
		var again authz.Access
		s.Access(&lost, &foreign, &again)
		equal(t, "access by id of "+token.ID+" to "+name, show(tidyAccess(&again)), show(tidyAccess(&a)))
	}
}

func equal(t *rapid.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Fatalf("%s:\ngot  %s\nwant %s", what, got, want)
	}
}

func tidyToken(token *authz.Token) *authz.Token {
	if token == nil {
		return nil
	}
	copied := *token
	copied.Grants, copied.Ref = tidy(token.Grants), 0
	if len(copied.Global) == 0 {
		copied.Global = nil
	}
	return &copied
}

func tidyAccess(a *authz.Access) *authz.Access {
	copied := *a
	copied.Current, copied.Effective, copied.Authorization.Grants = tidy(a.Current), tidy(a.Effective), tidy(a.Authorization.Grants)
	copied.Request.Grants = tidy(a.Request.Grants)
	if a.Authorization.Request != nil {
		copied.Authorization.Request = &copied.Request
	}
	return &copied
}

// tidy leaves the grants alone of a set: an empty one is not an absent one.
func tidy(set *authz.GrantSet) *authz.GrantSet {
	if set == nil {
		return nil
	}
	return &authz.GrantSet{Grants: append([]authz.Grant{}, set.Grants...)}
}

// TestAnySequenceOfChangesGivesWhatPlainMapsGive: loads and changes in any
// order, in batches that are read or handed over; and nothing is kept that
// loading anew would not keep.
func TestAnySequenceOfChangesGivesWhatPlainMapsGive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel()
		for range rapid.IntRange(0, 10).Draw(t, "before") {
			m.step(t)
		}
		f, err := Start(context.Background(), Options{Feed: m, Interval: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		m.agrees(t, f.Snapshot())
		for range rapid.IntRange(1, 30).Draw(t, "batches") {
			for range rapid.IntRange(1, 5).Draw(t, "batch") {
				m.step(t)
			}
			if rapid.Bool().Draw(t, "handed over") && !m.gap && len(m.changed) > 0 {
				r, number, _, _ := m.Changes(context.Background(), 0) // the model has no errors
				f.Take(number, number, r)
			} else if err := f.CatchUp(context.Background()); err != nil {
				t.Fatal(err)
			}
			m.agrees(t, f.Snapshot())
		}
		anew, err := Start(context.Background(), Options{Feed: m, Interval: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		defer anew.Close()
		if got, want := kept(f), kept(anew); !reflect.DeepEqual(got, want) {
			t.Fatalf("%d sets of grants and lists are kept, and %d are used", len(got), len(want))
		}
	})
}

// TestASnapshotThatIsHeldKnowsNothingOfALaterRotation: who reads it meanwhile
// finds the secrets as they were, and the overlaps as long as they were.
func TestASnapshotThatIsHeldKnowsNothingOfALaterRotation(t *testing.T) {
	m := newModel()
	m.users["u0"] = &inventory.User{ID: "u0", Name: "bob", Type: "user"}
	end := epoch.Add(24 * time.Hour)
	rotate := func(f *Follower, times int) {
		t.Helper()
		token := &inventory.Token{ID: "t0", Digest: digestOf(0, times), Kind: authz.KindRead, OwnerID: "u0"}
		for i := range times {
			former := inventory.Former{Digest: formerDigestOf(0, i), At: epoch, Until: epoch}
			if i == times-1 {
				former.Until = end
			}
			token.Former = append([]inventory.Former{former}, token.Former...)
		}
		m.tokens["t0"], m.changed[[3]string{"token", "t0"}] = token, true
		if f == nil {
			return
		}
		if err := f.CatchUp(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	rotate(nil, 1)
	f, err := Start(context.Background(), Options{Feed: m, Interval: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	first := f.Snapshot()
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for ; ; runtime.Gosched() {
			var token authz.Token
			if until, known := first.Former(formerDigestOf(0, 0), &token); !known || !until.Equal(end) || token.ID != "t0" {
				t.Errorf("while others rotate, the secret of %q is accepted until %v (known: %t)", token.ID, until, known)
				return
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	const rotations = 5
	held := map[int]*Snapshot{1: first} // after so many rotations
	for times := 2; times <= rotations; times++ {
		rotate(f, times)
		held[times] = f.Snapshot()
	}
	close(stop)
	<-ended
	for times, s := range held {
		for i := range rotations {
			until, known := s.Former(formerDigestOf(0, i), &authz.Token{})
			want := time.Time{}
			if i == times-1 {
				want = end
			}
			if known != (i < times) || !until.Equal(want) {
				t.Errorf("after %d rotations, secret %d is accepted until %v (known: %t), not %v", times, i, until, known, want)
			}
		}
	}
}

// TestWhatIsHandedOverIsTakenInItsTurn: not where a change before it was not
// read, nor twice; and a snapshot that nothing was read for is no fresher.
func TestWhatIsHandedOverIsTakenInItsTurn(t *testing.T) {
	m := newModel()
	m.users["u0"] = &inventory.User{ID: "u0", Name: "bob", Type: "user"}
	now := epoch
	f, err := Start(context.Background(), Options{Feed: m, Interval: time.Hour, Clock: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	now = now.Add(time.Minute)
	token := func(k byte) *inventory.Records {
		id := fmt.Sprint("t", k)
		return &inventory.Records{Tokens: []*inventory.Token{{ID: id, Digest: authz.Digest{k}, Kind: authz.KindRead, OwnerID: "u0"}}}
	}
	for _, step := range []struct {
		number       int64
		k            byte
		change, have int
	}{{2, 2, 0, 0}, {1, 1, 1, 1}, {1, 3, 1, 1}, {3, 3, 1, 1}, {2, 2, 2, 2}} {
		f.Take(step.number, step.number, token(step.k))
		if s := f.Snapshot(); s.Change() != int64(step.change) || s.Tokens() != step.have || !s.AsOf().Equal(epoch) {
			t.Errorf("after %+v: change %d, %d tokens, as of %v", step, s.Change(), s.Tokens(), s.AsOf())
		}
	}
}

// versioned is how many tokens change together: more than lie in a page.
const versioned = 700

// TestReadersNeverStopAndNeverSeeHalfAChange: each change gives every token and
// its authorization the same new version.
func TestReadersNeverStopAndNeverSeeHalfAChange(t *testing.T) {
	m := newModel()
	m.users["u0"] = &inventory.User{ID: "u0", Name: "bob", Type: "user"}
	m.organizations["o0"] = &inventory.Organization{ID: "o0", Name: "acme", Type: authz.TypeOrganization}
	write := func(version int) {
		grants := []authz.Grant{{Entity: authz.Entity{Type: "organization", ID: "o0", Name: "acme", Namespace: "o0"}, Permissions: []string{fmt.Sprint("p", version)}}}
		for k := range versioned {
			id := fmt.Sprint("t", k)
			if version > 0 && k%7 != version%7 && k > 10 {
				continue // most tokens stay
			}
			m.tokens[id] = &inventory.Token{ID: id, Digest: authz.Digest{byte(k), byte(k >> 8)}, DisplayName: fmt.Sprint("v", version), Kind: authz.KindFineGrained, OwnerID: "u0", Grants: grants}
			m.authorizations[[2]string{id, "o0"}] = &inventory.Authorization{TokenID: id, OrganizationID: "o0", State: authz.StateApproved, Comment: fmt.Sprint("v", version), Grants: grants}
			m.changed[[3]string{"token", id}], m.changed[[3]string{"authorization", id, "o0"}] = true, true
		}
	}
	write(0)
	f, err := Start(context.Background(), Options{Feed: m, Interval: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	stop := make(chan struct{})
	var wait sync.WaitGroup
	for reader := range 3 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for k := reader; ; k = (k + 13) % versioned {
				select {
				case <-stop:
					return
				default:
				}
				runtime.Gosched()
				if problem := whole(f.Snapshot(), k); problem != "" {
					t.Error(problem)
					return
				}
			}
		}()
	}
	for version := 1; version <= 20; version++ {
		write(version)
		if err := f.CatchUp(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	wait.Wait()
}

// whole says what does not fit together in a token's facts.
func whole(s *Snapshot, k int) string {
	var token, first authz.Token
	var a authz.Access
	o := s.Organization("acme")
	if !s.Token(authz.Digest{byte(k), byte(k >> 8)}, &token) || !s.Token(authz.Digest{}, &first) || o == nil {
		return fmt.Sprintf("token %d is not known", k)
	}
	s.Access(&token, o, &a)
	if token.ID != fmt.Sprint("t", k) || a.Authorization.Comment != token.DisplayName || len(a.Effective.Grants) != 1 || "v"+a.Effective.Grants[0].Permissions[0][1:] != token.DisplayName {
		return fmt.Sprintf("token %d is at %s, its authorization at %s, its grants at %+v", k, token.DisplayName, a.Authorization.Comment, a.Effective.Grants)
	}
	if (k <= 10) && first.DisplayName != token.DisplayName {
		return fmt.Sprintf("token %d is at %s and token 0 at %s", k, token.DisplayName, first.DisplayName)
	}
	return ""
}
