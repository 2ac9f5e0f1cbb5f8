package decide

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/patrol-authz/patrol/authz"
)

func TestIDsAreUUIDsOfVersion7(t *testing.T) {
	now, seen := time.Now(), map[string]bool{}
	for range 1000 {
		id := newID(now)
		u, err := uuid.Parse(id)
		if err != nil || u.Version() != 7 || u.Variant() != uuid.RFC4122 || seen[id] {
			t.Fatalf("%s: %v", id, err)
		}
		if s, ns := u.Time().UnixTime(); time.Unix(s, ns).UnixMilli() != now.UnixMilli() {
			t.Fatalf("%s is of %s, not of %s", id, time.Unix(s, ns), now)
		}
		seen[id] = true
	}
}

func TestAClientIsTheSameWhenItComesAgain(t *testing.T) {
	var c clients
	for range 3 {
		for address, want := range map[string]authz.Client{
			"":                   {},
			"pipe":               {},
			"192.0.2.7":          {Address: "192.0.2.7", Network: "192.0.2.0/24"},
			"::ffff:192.0.2.7":   {Address: "192.0.2.7", Network: "192.0.2.0/24"},
			"2001:DB8:1:2::0003": {Address: "2001:db8:1:2::3", Network: "2001:db8:1::/48"},
		} {
			if got := c.of(address); got != want {
				t.Errorf("%s: %+v", address, got)
			}
		}
	}
}
