package main

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/patrol-authz/patrol/authz/notify"
)

// How many days it is kept what was told. What is planned is known by its event,
// so that it is told once: a change of policy is dated at most 90 days ahead.
const (
	defaultKeepDays   = 120
	leastKeepDays     = 100
	defaultFolderDays = 30
	mostDays          = 3650
)

func (m *MailConfig) checkDays() error {
	for i, n := range m.PolicyDays {
		if n < 1 || n > 90 {
			return fmt.Errorf("mail.policy_days[%d]: %d is not from 1 to 90", i, n)
		}
	}
	if n := m.KeepDays; n != 0 && (n < leastKeepDays || n > mostDays) {
		return fmt.Errorf("mail.keep_days: %d is not from %d to %d", n, leastKeepDays, mostDays)
	}
	if n := m.FolderDays; n < 0 || n > mostDays {
		return fmt.Errorf("mail.folder_days: %d is not from 1 to %d", n, mostDays)
	}
	return nil
}

func (c *Config) mailFolder() string {
	return cmp.Or(c.Mail.Folder, filepath.Join(c.DataDir, "mail"))
}

// forgetTold deletes what was told long ago, and old mails in the folder.
func (a *App) forgetTold(ctx context.Context) {
	m := &a.Config.Mail
	before := func(days, usual int) time.Time { return a.Clock().AddDate(0, 0, -cmp.Or(days, usual)) }
	if _, err := a.Store.ForgetEvents(ctx, before(m.KeepDays, defaultKeepDays)); err != nil && ctx.Err() == nil {
		a.Log.Error("what was told long ago cannot be deleted", "error", err)
	}
	if m.SMTP.Host != "" {
		return
	}
	if _, err := (&notify.Folder{Path: a.Config.mailFolder()}).Forget(before(m.FolderDays, defaultFolderDays)); err != nil {
		a.Log.Error("old mails cannot be deleted", "error", err)
	}
}
