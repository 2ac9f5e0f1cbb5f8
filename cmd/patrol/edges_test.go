package main

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// The edge cases of docs/edge-cases.md that are about a decision. What they
// want is in the cases of testdata/cases, which TestCases sends through every
// tier; here they are gathered under their number, and decided by the pipeline.

// edgeWorld is the cases' inventory, with an overlay if there is one.
func edgeWorld(t *testing.T, overlay map[string]string) *world {
	t.Helper()
	w := startApp(t, func(c *Config) {
		if overlay == nil {
			return
		}
		dir := t.TempDir()
		for name, text := range overlay {
			write(t, filepath.Join(dir, name), text)
		}
		c.Policy.Bundles = []string{dir}
	})
	if err := w.Ready(); err != nil {
		t.Fatal(err)
	}
	w.populate(t, filepath.Join(casesDir, "world.json"))
	return w
}

// decideCases decides the named cases; a name that ends in * stands for all
// that begin so.
func decideCases(t *testing.T, names ...string) {
	t.Helper()
	w := edgeWorld(t, nil)
	for _, name := range names {
		found := false
		for _, c := range loadCases(t) {
			prefix, many := strings.CutSuffix(name, "*")
			if c.id != name && !(many && strings.HasPrefix(c.id, prefix)) {
				continue
			}
			found = true
			w.after(t, c.span())
			if got := facts(w, c).Decision.Reason; got != c.Want.Reason {
				t.Errorf("%s (%s): %s; want %s", c.id, c.Title, got, c.Want.Reason)
			}
		}
		if !found {
			t.Errorf("there is no case %s", name)
		}
	}
}

// asked decides one request.
func (w *world) asked(t *testing.T, method, path, token string) *authz.Outcome {
	t.Helper()
	c := &testCase{}
	c.Request.Method, c.Request.Path = method, path
	if token != "" {
		c.Request.Headers = [][2]string{{"authorization", "Bearer {" + token + "}"}}
	}
	return facts(w, c)
}

func (w *world) wants(t *testing.T, method, path, token, reason string) *authz.Outcome {
	t.Helper()
	out := w.asked(t, method, path, token)
	if out.Decision.Reason != reason {
		t.Errorf("%s %s as %q: %s; want %s", method, path, token, out.Decision.Reason, reason)
	}
	return out
}

func TestEdge02_GracePeriod_ThePresentPolicyDecidesAndTheNextWarns(t *testing.T) {
	decideCases(t, "dated-*")
}

func TestEdge04_WidenedAndNarrowed_MayWhatWasApprovedAndIsStillThere(t *testing.T) {
	w := edgeWorld(t, nil)
	id := w.ids["bob_approved"]
	row := w.do(t, inventory.EnableToken{Token: id}).Token
	grants := func(permissions ...string) *[]authz.Grant {
		return &[]authz.Grant{{Entity: authz.Entity{Type: "organization", Name: "acme"}, Permissions: permissions}}
	}
	w.do(t, inventory.Approve{Organization: "acme", Token: id, Version: row.Version, Grants: *grants("repo.content.read")})
	w.do(t, inventory.UpdateToken{Token: id, Grants: grants("repo.content.read", "repo.write", "collection.write")})
	w.wants(t, "GET", "/api/models/acme/model", "bob_approved", "approved")
	w.wants(t, "POST", "/api/models/acme/model/commit/main", "bob_approved", "insufficient_permission")
	w.do(t, inventory.UpdateToken{Token: id, Grants: grants("repo.write")})
	w.wants(t, "POST", "/api/models/acme/model/commit/main", "bob_approved", "insufficient_permission")
}

func TestEdge05_PermissionsNarrowed_GoOnWithoutANewApproval(t *testing.T) {
	w := edgeWorld(t, nil)
	grants := []authz.Grant{{Entity: authz.Entity{Type: "organization", Name: "acme"}, Permissions: []string{"repo.content.read"}}}
	w.do(t, inventory.UpdateToken{Token: w.ids["bob_approved"], Grants: &grants})
	w.wants(t, "GET", "/api/models/acme/model", "bob_approved", "approved")
	w.wants(t, "POST", "/api/models/acme/model/commit/main", "bob_approved", "insufficient_permission")
}

func TestEdge06_OwnerLeaves_DeniedAtOnceAndPendingOnReturn(t *testing.T) {
	w := edgeWorld(t, nil)
	w.do(t, inventory.RemoveMember{Organization: "acme", User: "bob"})
	w.wants(t, "GET", "/api/models/acme/model", "bob_approved", "owner_not_member")
	w.do(t, inventory.AddMember{Organization: "acme", User: "bob", Role: "write"})
	w.wants(t, "GET", "/api/models/acme/model", "bob_approved", "approval_pending")
}

func TestEdge08_Demoted_ExemptTokensArePending_FourEyesExemptsNobody(t *testing.T) {
	w := edgeWorld(t, nil)
	w.wants(t, "GET", "/api/models/acme/model", "alice_fine", "admin_created")
	w.do(t, inventory.ChangeSettings{Organization: "acme", Settings: map[string]any{"four_eyes": true}})
	w.wants(t, "GET", "/api/models/acme/model", "alice_fine", "approval_pending")
	w.do(t, inventory.ChangeSettings{Organization: "acme", Settings: map[string]any{"four_eyes": nil}})
	w.do(t, inventory.AddMember{Organization: "acme", User: "alice", Role: "write"})
	w.wants(t, "GET", "/api/models/acme/model", "alice_fine", "approval_pending")
}

func TestEdge09_EffectiveRightIsTheTokensWithinTheOwnersRole(t *testing.T) {
	decideCases(t, "role-bounds-token", "kind-bounds-role", "approved-part*")
}

// publicModels makes every model of the cases' organizations public.
var publicModels = map[string]string{
	".manifest": `{"roots": ["local"], "revision": "public"}`,
	"local/routes/data.json": `[{"pattern": "/api/models/{organization}/{name}", "methods": ["GET", "HEAD"], "permission": "repo.content.read",
		"resource": {"type": "model", "name": "{organization}/{name}", "visibility": "public"}}]`,
}

func TestEdge11_PublicResourceUnapprovedToken_ServedAsAnonymousAndWritesRefused(t *testing.T) {
	w := edgeWorld(t, publicModels)
	if out := w.wants(t, "GET", "/api/models/acme/model", "bob_fine", "anonymous"); !out.Decision.Anonymous || !slices.Contains(out.Decision.Reasons, "approval_pending") {
		t.Errorf("decided %+v", out.Decision)
	}
	w.wants(t, "POST", "/api/models/acme/model/commit/main", "bob_fine", "approval_pending")
	w.do(t, inventory.ChangeSettings{Organization: "acme", Settings: map[string]any{"public_read": "refuse"}})
	w.wants(t, "GET", "/api/models/acme/model", "bob_fine", "approval_pending")
}

func TestEdge12_PublicResourceInvalidToken_401(t *testing.T) {
	w := edgeWorld(t, publicModels)
	c := &testCase{}
	c.Request.Method, c.Request.Path, c.Request.Headers = "GET", "/api/models/acme/model", [][2]string{{"authorization", "Bearer hf_nobodyknowsthisone"}}
	out := facts(w, c)
	if out.Decision.Reason != "token_unknown" || out.Reason.HTTPStatus != 401 {
		t.Errorf("decided %+v", out.Decision)
	}
	w.wants(t, "GET", "/api/models/acme/model", "", "public")
}

func TestEdge13_UnknownOrganization_Denied(t *testing.T) {
	decideCases(t, "organization-unknown", "table-acme-stranger", "table-open-lab-stranger")
}

func TestEdge15_NoGrantForThisOrganization_NoGrant(t *testing.T) {
	decideCases(t, "table-acme-fine-nogrant", "table-scoped-works-fine-nogrant")
}

func TestEdge16_Expiry_ExpiredFromThatSecondOn(t *testing.T) {
	w := edgeWorld(t, nil)
	end := w.Clock().Add(time.Hour).Truncate(time.Second)
	w.do(t, inventory.UpdateToken{Token: w.ids["bob_read"], ExpiresAt: &end})
	w.after(t, time.Until(end)-time.Second)
	w.wants(t, "GET", "/api/models/open-lab/model", "bob_read", "allowed")
	w.after(t, time.Until(end)+time.Millisecond)
	w.wants(t, "GET", "/api/models/open-lab/model", "bob_read", "token_expired")
}

func TestEdge17_DuplicateAuthorizationHeaders_400(t *testing.T) { decideCases(t, "credential-twice") }

func TestEdge18_CommaSpaceOrControlCharacterInTheToken_400(t *testing.T) {
	decideCases(t, "credential-comma", "credential-space", "credential-quote", "credential-long")
}

func TestEdge19_TokenInTheQueryString_400AndTheLeakIsNoted(t *testing.T) {
	decideCases(t, "query-access-token", "query-known-token")
	w := edgeWorld(t, nil)
	secret := w.secrets["bob_read"].Reveal()
	for _, query := range []string{
		"x=" + secret, secret, secret + "=1", "a=1;t=" + secret, "a=1;access_token=" + secret, "t[]=x&t=1+" + secret, "t=Bearer%20" + secret,
		"next=https%3A%2F%2Fgit%3A" + secret + "%40hub", "x=%70" + secret[1:], "x=%2570" + secret[1:], "x=" + secret + "x",
	} {
		c := &testCase{}
		c.Request.Method, c.Request.Path = "GET", "/api/models/open-lab/model?"+query
		out := facts(w, c)
		if out.Decision.Reason != authz.ReasonCredentialMalformed {
			t.Errorf("?%s is answered with %s", strings.ReplaceAll(query, secret, "TOKEN"), out.Decision.Reason)
		}
		if out.Leaked == nil || out.Leaked.ID != w.ids["bob_read"] {
			t.Errorf("?%s: whose secret was leaked is not noted", strings.ReplaceAll(query, secret, "TOKEN"))
		}
	}
}

func TestEdge20_Basic_TheTokenIsThePassword(t *testing.T) {
	decideCases(t, "git-basic", "git-write", "credential-basic-*")
}

func TestEdge21_BearerWithNothingAfterIt_400_AnyCase(t *testing.T) {
	decideCases(t, "credential-empty", "credential-bearer-*")
}

func TestEdge22_NeverByTheLastFour_OnlyByTheKeyedDigest(t *testing.T) {
	decideCases(t, "credential-prefix", "credential-upper")
	w := edgeWorld(t, nil)
	secret := w.secrets["bob_read"]
	c := &testCase{}
	c.Request.Method, c.Request.Path, c.Request.Headers = "GET", "/api/models/open-lab/model", [][2]string{{"authorization", "Bearer " + secret.Last4()}}
	if got := facts(w, c).Decision.Reason; got != "token_unknown" {
		t.Errorf("by its last four: %s", got)
	}
}

func TestEdge28_EncodedPathTricks_RefusedBeforeRouting(t *testing.T) { decideCases(t, "path-*") }

func TestEdge29_UnknownPermissionName_GrantsNothing(t *testing.T) {
	w := edgeWorld(t, nil)
	grants := []authz.Grant{{Entity: authz.Entity{Type: "organization", Name: "open-lab"}, Permissions: []string{"repo.teleport"}}}
	row := w.do(t, inventory.UpdateToken{Token: w.ids["bob_fine"], Grants: &grants}).Token
	if row.Grants[0].Permissions[0] != "repo.teleport" {
		t.Errorf("it is not shown: %+v", row.Grants)
	}
	w.wants(t, "GET", "/api/models/open-lab/model", "bob_fine", "insufficient_permission")
}

func TestEdge30_RevocationsActAtOnce_AndStaleFactsClose(t *testing.T) {
	w := edgeWorld(t, nil)
	w.wants(t, "GET", "/api/models/acme/model", "bob_approved", "approved")
	w.do(t, revokeOf(w.ids["bob_approved"]))
	w.wants(t, "GET", "/api/models/acme/model", "bob_approved", "token_revoked")
	w.offset.Store(int64(2 * time.Minute))
	w.Store.Close()
	if err := w.Follower.CatchUp(context.Background()); err == nil {
		t.Fatal("the inventory can still be read")
	}
	w.wants(t, "GET", "/api/models/acme/model", "bob_approved", "inventory_unavailable")
}

func TestEdge03_TheOldSecretIsRefusedAndReported(t *testing.T) {
	w := edgeWorld(t, nil)
	id := w.ids["bob_approved"]
	w.do(t, inventory.RotateToken{Token: id, Digest: authz.Digest{7}, Overlap: time.Hour})
	if out := w.wants(t, "GET", "/api/models/acme/model", "bob_approved", "approved"); len(out.Warnings) == 0 || out.Warnings[0].Topic != "token_rotated" {
		t.Errorf("warnings: %+v", out.Warnings)
	}
	w.after(t, time.Hour+time.Second)
	c := &testCase{}
	c.Request.Method, c.Request.Path, c.Request.Headers = "GET", "/api/models/acme/model", [][2]string{{"authorization", "Bearer {bob_approved}"}}
	if got := serverTier(t, w)(t, c).Reason; got != "token_unknown" {
		t.Errorf("after the overlap: %s", got)
	}
	for range 200 {
		row, err := w.Store.Token(context.Background(), "", id)
		if err != nil {
			t.Fatal(err)
		}
		if row.ReusedAt != nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Error("the use of the old secret was not reported")
}
