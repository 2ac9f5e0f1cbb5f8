package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/patrol-authz/patrol/authz/admin"
	"github.com/patrol-authz/patrol/authz/admin/client"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// MemberSyncCmd makes the members of an organization what a file says.
type MemberSyncCmd struct {
	Organization string `arg:"" help:"The organization."`
	File         string `arg:"" help:"A YAML or JSON list of members; - for standard input."`
	Prune        bool   `help:"Also remove members whom the file does not list."`
	DryRun       bool   `help:"Only show what would be changed."`
	Force        bool   `help:"Also where the organization has no administrator left."`
}

// Help gives an example.
func (*MemberSyncCmd) Help() string {
	return "Each member has a user and a role, and may have a type (user, service_account), an email, and, for a service account, a list responsible of who answers for it. " +
		"An email is taken as confirmed, unless the member has confirmed: false. Who is not listed stays, unless --prune is given. " +
		"Nothing is changed where the file is wrong, or, without --force, where no administrator would be left who is a person.\n\n" +
		example("patrol member sync acme members.yaml --prune --dry-run")
}

// listedMember is a member of the file.
type listedMember struct {
	User  string `yaml:"user"`
	Role  string `yaml:"role"`
	Type  string `yaml:"type"`
	Email string `yaml:"email"`
	// Confirmed is false where a link is to ask whether the address is theirs.
	Confirmed   *bool     `yaml:"confirmed"`
	Responsible *[]string `yaml:"responsible"`
}

// differs lists what a member is to have otherwise than the present one.
func (m *listedMember) differs(was *inventory.MemberRow) (what []string) {
	if m.Role != was.Role {
		what = append(what, "role "+was.Role+" → "+m.Role)
	}
	if m.Type != "" && m.Type != was.Type {
		what = append(what, "type "+was.Type+" → "+m.Type)
	}
	switch {
	case m.Email != "" && m.Email != was.Email:
		what = append(what, "email "+became(was.Email, m.Email))
	case m.Email != "" && m.known() && was.EmailConfirmedAt == nil:
		what = append(what, "email "+m.Email+" confirmed")
	}
	if m.Responsible != nil {
		if wanted := folded(*m.Responsible); !slices.Equal(wanted, was.Responsible) {
			what = append(what, "responsible "+became(strings.Join(was.Responsible, " "), dash(strings.Join(wanted, " "))))
		}
	}
	return what
}

// became tells what replaces what, if there was anything.
func became(was, is string) string {
	if was == "" {
		return is
	}
	return was + " → " + is
}

// known says whether the address is taken as confirmed.
func (m *listedMember) known() bool { return m.Email != "" && (m.Confirmed == nil || *m.Confirmed) }

// body is the member as it is set.
func (m *listedMember) body() admin.NewMember {
	return admin.NewMember{Role: m.Role, Type: m.Type, Email: m.Email, Confirmed: m.known(), Responsible: m.Responsible}
}

// folded are names as they are stored, sorted, each once.
func folded(names []string) []string {
	var out []string
	for _, n := range names {
		out = append(out, inventory.Fold(n))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// lastAccounts puts service accounts behind people, who may answer for them.
func lastAccounts[T any](list []T, account func(T) bool) { putLast(list, account) }

// lastDemotions puts those who are administrators no more behind those who become
// one: at no moment there is none.
func lastDemotions[T any](list []T, demoted func(T) bool) { putLast(list, demoted) }

func putLast[T any](list []T, last func(T) bool) {
	slices.SortStableFunc(list, func(a, b T) int {
		switch {
		case last(a) == last(b):
			return 0
		case last(b):
			return -1
		}
		return 1
	})
}

// memberChange is one thing to do.
type memberChange struct {
	Action string `json:"action"` // add, change, remove
	User   string `json:"user"`
	Role   string `json:"role,omitempty"`
	Was    string `json:"was,omitempty"` // the role before
	Type   string `json:"type,omitempty"`
	Email  string `json:"email,omitempty"`
	// Responsible answer for a service account.
	Responsible []string `json:"responsible,omitempty"`

	member *listedMember
	was    *inventory.MemberRow // nil: there was none
}

// carryOut makes the change where the member is as it was read.
func (m *memberChange) carryOut(ctx context.Context, cl *client.Client, organization string, force bool) (err error) {
	at := client.MemberAt{Version: client.NotThere, Force: force}
	if m.was != nil {
		at.Version = m.was.Version
	}
	if m.Action == "remove" {
		err = cl.RemoveMember(ctx, organization, m.User, at)
	} else {
		_, err = cl.SetMember(ctx, organization, m.User, m.member.body(), at)
	}
	if changed := memberChanged(m.was, err); changed != "" {
		return fmt.Errorf("was changed by somebody else since it was read: %s", changed)
	}
	return err
}

// Run syncs them.
func (c *MemberSyncCmd) Run(ctx context.Context, cli *CLI) error {
	wanted, err := c.read()
	if err != nil {
		return err
	}
	cl, err := cli.client()
	if err != nil {
		return err
	}
	have, err := cl.Members(ctx, c.Organization)
	if err != nil {
		return err
	}
	changes := planMembers(wanted, have, c.Prune)
	roles := map[string]string{}
	for _, m := range wanted {
		roles[m.User] = m.Role
	}
	if err := keepsAdministrator(c.Organization, roles, have, c.Prune); err != nil && !c.Force {
		return err
	}
	for i, m := range changes {
		if c.DryRun {
			break
		}
		if err := m.carryOut(ctx, cl, c.Organization, c.Force); err != nil {
			return fmt.Errorf("%s %s: %w; %d of %d changes were made: run it again to go on", m.Action, m.User, err, i, len(changes))
		}
	}
	return list(cli, changes, nil, "Nothing to change.", func(t *table, changes []memberChange) {
		t.row("CHANGE", "USER", "ROLE", "WAS", "EMAIL", "RESPONSIBLE")
		for _, m := range changes {
			t.row(m.Action, m.User, dash(m.Role), dash(m.Was), dash(m.Email), dash(strings.Join(m.Responsible, ", ")))
		}
		if c.DryRun {
			t.row("Nothing was changed: --dry-run.")
		}
	})
}

func (c *MemberSyncCmd) read() ([]listedMember, error) {
	name, in := c.File, io.Reader(os.Stdin)
	if c.File == "-" {
		name = "standard input"
	} else {
		f, err := os.Open(c.File)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, 64<<20))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	var out []listedMember
	if err := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(&out); err != nil {
		return nil, usagef("%s: %s", name, yaml.FormatError(err, false, true))
	}
	if err := checkMembers(out); err != nil {
		return nil, usagef("%s: %w", name, err)
	}
	return out, nil
}

// checkMembers finds out what is wrong with a list.
func checkMembers(list []listedMember) error {
	if len(list) == 0 {
		return fmt.Errorf("lists no member")
	}
	seen := map[string]int{}
	for i := range list {
		m := &list[i]
		m.User = inventory.Fold(m.User)
		switch other, twice := seen[m.User]; {
		case m.User == "":
			return fmt.Errorf("member %d: user is missing", i+1)
		case twice:
			return fmt.Errorf("member %d: %s is member %d too", i+1, m.User, other)
		case !slices.Contains([]string{"admin", "reviewer", "write", "contributor", "read", "no_access"}, m.Role):
			return fmt.Errorf("member %d (%s): the role %q is none of admin, reviewer, write, contributor, read, no_access", i+1, m.User, m.Role)
		case m.Type != "" && m.Type != "user" && m.Type != "service_account":
			return fmt.Errorf("member %d (%s): the type %q is neither user nor service_account", i+1, m.User, m.Type)
		}
		seen[m.User] = i + 1
	}
	return nil
}

// planMembers says what is to be done: additions and changes first, so that at
// no moment fewer may do their work than before and after.
func planMembers(wanted []listedMember, have []inventory.MemberRow, prune bool) []memberChange {
	present := make(map[string]*inventory.MemberRow, len(have))
	for i := range have {
		present[have[i].User] = &have[i]
	}
	var changes, removals []memberChange
	for i := range wanted {
		m := &wanted[i]
		was := present[m.User]
		delete(present, m.User)
		change := memberChange{Action: "add", User: m.User, Role: m.Role, Type: m.Type, Email: m.Email, member: m, was: was}
		if m.Responsible != nil {
			change.Responsible = folded(*m.Responsible)
		}
		switch {
		case was == nil:
			change.Type = cmp.Or(m.Type, "user")
			changes = append(changes, change)
		case len(m.differs(was)) > 0:
			change.Action, change.Was = "change", was.Role
			changes = append(changes, change)
		}
	}
	lastAccounts(changes, func(c memberChange) bool { return c.Responsible != nil })
	lastDemotions(changes, func(c memberChange) bool { return demotes(c.Was, c.Role) })
	for i := range have {
		if m := &have[i]; prune && present[m.User] != nil {
			removals = append(removals, memberChange{Action: "remove", User: m.User, Was: m.Role, was: m})
		}
	}
	slices.SortStableFunc(removals, func(a, b memberChange) int { return strings.Compare(a.User, b.User) })
	return append(changes, removals...)
}

// demotes says whether somebody is an administrator no more.
func demotes(was, role string) bool { return was == "admin" && role != "admin" }

// keepsAdministrator says what is wrong where an organization has an administrator
// who is a person and would have none: roles are those that are wanted, by user, and
// who is not among them goes with prune.
func keepsAdministrator(organization string, roles map[string]string, have []inventory.MemberRow, prune bool) error {
	had, accounts := false, map[string]bool{}
	for i := range have {
		accounts[have[i].User] = have[i].Type == inventory.TypeServiceAccount
	}
	for user, role := range roles {
		if role == "admin" && !accounts[user] {
			return nil
		}
	}
	for i := range have {
		if have[i].Role != "admin" || accounts[have[i].User] {
			continue
		}
		if _, listed := roles[have[i].User]; !listed && !prune {
			return nil
		}
		had = true
	}
	if !had {
		return nil
	}
	return fmt.Errorf("%s: no administrator would be left who is a person; nothing was changed (--force does it all the same)", organization)
}
