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
	"github.com/patrol-authz/patrol/authz/inventory"
)

// MemberSyncCmd makes the members of an organization what a file says.
type MemberSyncCmd struct {
	Organization string `arg:"" help:"The organization."`
	File         string `arg:"" help:"A YAML or JSON list of members; - for standard input."`
	Prune        bool   `help:"Also remove members whom the file does not list."`
	DryRun       bool   `help:"Only show what would be changed."`
}

// Help gives an example.
func (*MemberSyncCmd) Help() string {
	return "Each member has a user and a role, and may have a type (user, service_account) and an email. Who is not listed stays, unless --prune is given. " +
		"Nothing is changed where the file is wrong, or where no administrator would be left.\n\n" +
		example("patrol member sync acme members.yaml --prune --dry-run")
}

// listedMember is a member of the file.
type listedMember struct {
	User  string `yaml:"user"`
	Role  string `yaml:"role"`
	Type  string `yaml:"type"`
	Email string `yaml:"email"`
}

// memberChange is one thing to do.
type memberChange struct {
	Action string `json:"action"` // add, change, remove
	User   string `json:"user"`
	Role   string `json:"role,omitempty"`
	Was    string `json:"was,omitempty"` // the role before
	Type   string `json:"type,omitempty"`
	Email  string `json:"email,omitempty"`
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
	changes, err := planMembers(wanted, have, c.Prune)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Organization, err)
	}
	for i, m := range changes {
		if c.DryRun {
			break
		}
		if m.Action == "remove" {
			err = cl.RemoveMember(ctx, c.Organization, m.User)
		} else {
			_, err = cl.SetMember(ctx, c.Organization, m.User, admin.NewMember{Role: m.Role, Type: m.Type, Email: m.Email})
		}
		if err != nil {
			return fmt.Errorf("%s %s: %w; %d of %d changes were made: run it again to go on", m.Action, m.User, err, i, len(changes))
		}
	}
	return list(cli, changes, nil, "Nothing to change.", func(t *table, changes []memberChange) {
		t.row("CHANGE", "USER", "ROLE", "WAS", "EMAIL")
		for _, m := range changes {
			t.row(m.Action, m.User, dash(m.Role), dash(m.Was), dash(m.Email))
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

// checkMembers finds out what is wrong with a list, and fills in the type.
func checkMembers(list []listedMember) error {
	if len(list) == 0 {
		return fmt.Errorf("lists no member")
	}
	seen := map[string]int{}
	for i := range list {
		m := &list[i]
		m.User, m.Type = inventory.Fold(m.User), cmp.Or(m.Type, "user")
		switch other, twice := seen[m.User]; {
		case m.User == "":
			return fmt.Errorf("member %d: user is missing", i+1)
		case twice:
			return fmt.Errorf("member %d: %s is member %d too", i+1, m.User, other)
		case !slices.Contains([]string{"admin", "reviewer", "write", "contributor", "read", "no_access"}, m.Role):
			return fmt.Errorf("member %d (%s): the role %q is none of admin, reviewer, write, contributor, read, no_access", i+1, m.User, m.Role)
		case m.Type != "user" && m.Type != "service_account":
			return fmt.Errorf("member %d (%s): the type %q is neither user nor service_account", i+1, m.User, m.Type)
		}
		seen[m.User] = i + 1
	}
	return nil
}

// planMembers says what is to be done: additions and changes first, so that at
// no moment fewer may do their work than before and after.
func planMembers(wanted []listedMember, have []inventory.MemberRow, prune bool) ([]memberChange, error) {
	present := make(map[string]*inventory.MemberRow, len(have))
	for i := range have {
		present[have[i].User] = &have[i]
	}
	admins := 0
	var changes, removals []memberChange
	for _, m := range wanted {
		if m.Role == "admin" {
			admins++
		}
		was := present[m.User]
		delete(present, m.User)
		switch {
		case was == nil:
			changes = append(changes, memberChange{Action: "add", User: m.User, Role: m.Role, Type: m.Type, Email: m.Email})
		case was.Role != m.Role || m.Email != "" && was.Email != m.Email:
			changes = append(changes, memberChange{Action: "change", User: m.User, Role: m.Role, Was: was.Role, Type: m.Type, Email: m.Email})
		}
	}
	hadAdmin := false
	for _, m := range have {
		hadAdmin = hadAdmin || m.Role == "admin"
		if present[m.User] == nil {
			continue
		}
		if prune {
			removals = append(removals, memberChange{Action: "remove", User: m.User, Was: m.Role})
		} else if m.Role == "admin" {
			admins++
		}
	}
	if hadAdmin && admins == 0 {
		return nil, fmt.Errorf("no administrator would be left; nothing was changed")
	}
	slices.SortStableFunc(removals, func(a, b memberChange) int { return strings.Compare(a.User, b.User) })
	return append(changes, removals...), nil
}
