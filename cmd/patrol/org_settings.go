package main

import (
	"context"
	"encoding/json"
	"strings"
)

// OrgSetCmd changes settings.
type OrgSetCmd struct {
	Name     string   `arg:"" help:"The organization."`
	Settings []string `arg:"" sep:"none" help:"NAME=VALUE; the value is JSON, or a text; null takes a setting back."`
	Version  int64    `help:"The version that you looked at; refused if the organization changed since. Default: not checked." placeholder:"N"`
}

// Help gives examples.
func (*OrgSetCmd) Help() string {
	return "four_eyes: approvals need two people. request_cooldown_hours: how long an owner waits after a denial. review_act: rules by which the policy decides by itself. Also max_token_age_days, max_token_lifetime_days, public_read, and whatever your own rules read. " +
		"A name that is nearly one of these is refused, unless a rule of the active bundle reads it (input.organization.settings.NAME); of others that none reads the answer says so.\n\n" +
		example(
			"patrol org set acme four_eyes=true",
			`patrol org set acme review_act=["read_only","renewal"] request_cooldown_hours=4`,
			"patrol org set acme max_token_age_days=null",
		)
}

// Run changes them.
func (c *OrgSetCmd) Run(ctx context.Context, cli *CLI) error {
	settings, err := settingsOf(c.Settings)
	if err != nil {
		return err
	}
	cl, err := cli.client()
	if err != nil {
		return err
	}
	row, err := cl.ChangeSettings(ctx, c.Name, settings, c.Version)
	return show(cli, row, err, showOrganization)
}

// settingsOf reads settings as NAME=VALUE; nil where there are none.
func settingsOf(texts []string) (map[string]any, error) {
	if len(texts) == 0 {
		return nil, nil
	}
	settings := map[string]any{}
	for _, text := range texts {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, usagef("%q: write NAME=VALUE, for example four_eyes=true", text)
		}
		var v any
		if json.Unmarshal([]byte(value), &v) != nil {
			v = value
		}
		settings[name] = v
	}
	return settings, nil
}

// OrgRenameCmd renames an organization.
type OrgRenameCmd struct {
	Name    string `arg:"" help:"The organization."`
	NewName string `arg:"" help:"Its new name."`
}

// Help gives an example.
func (*OrgRenameCmd) Help() string {
	return "Everything is keyed by the organization's id, and stays. The old name leads to it still, and nobody else can take it.\n\n" +
		example("patrol org rename acme acme-labs")
}

// Run renames it.
func (c *OrgRenameCmd) Run(ctx context.Context, cli *CLI) error {
	cl, err := cli.client()
	if err != nil {
		return err
	}
	row, err := cl.RenameOrganization(ctx, c.Name, c.NewName)
	return show(cli, row, err, showOrganization)
}
