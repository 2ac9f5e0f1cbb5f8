package notify

import (
	"context"
	"slices"
	"strings"
	"time"
)

// address turns an event into jobs, one for each recipient.
func (s *Sender) address(ctx context.Context, e Event, now time.Time) error {
	subject, err := s.Directory.Subject(ctx, e)
	if err != nil {
		return err
	}
	if subject == nil || isSettled(e.Kind, subject) || len(audiences[e.Kind]) == 0 {
		return s.Queue.Addressed(ctx, e, nil, "", now)
	}
	var jobs []Job
	nobody := ""
	for _, audience := range audiences[e.Kind] {
		if s.Mail == nil {
			break
		}
		to, fallback, err := s.recipients(ctx, audience, subject)
		if err != nil {
			return err
		}
		answering := s.responsible(audience, subject, to)
		if len(to)+len(answering) == 0 || fallback {
			s.Observe(Mail, e.Kind, "unreachable")
			if audience == Administrators {
				nobody = audience
			}
		}
		if audience == Administrators && !fallback {
			to = to[:min(len(to), maxAdministrators)]
		}
		for i, address := range append(to, answering...) {
			job := Job{Event: e, Channel: Mail, Audience: audience, Recipient: address, NextAt: s.due(e, audience, subject, now)}
			if i >= len(to) {
				job.Audience = Responsible
			}
			jobs = append(jobs, job)
		}
	}
	return s.Queue.Addressed(ctx, e, append(jobs, s.hooked(e, subject, now)...), nobody, now)
}

// recipients are the addresses of an audience; fallback says that they are
// those of the configuration in its place.
func (s *Sender) recipients(ctx context.Context, audience string, subject *Subject) (to []string, fallback bool, err error) {
	switch audience {
	case Owner:
		if subject.Owner.Email != "" {
			to = []string{subject.Owner.Email}
		}
		return to, false, nil
	case Addressee:
		if subject.Confirm != nil && s.PublicURL != "" { // else there is no page to lead to
			to = []string{subject.Confirm.Email}
		}
		return to, false, nil
	case Operators:
		if len(s.Operators) > 0 {
			return s.Operators, false, nil
		}
		return s.Fallback, false, nil
	}
	people, err := s.Directory.Administrators(ctx, subject.Organization.ID)
	if err != nil {
		return nil, false, err
	}
	for _, p := range people {
		if p.Email != "" && !among(to, p.Email) {
			to = append(to, p.Email)
		}
	}
	if len(to) == 0 {
		return s.Fallback, true, nil
	}
	return to, false, nil
}

// responsible are the addresses of those who answer for the owner and are told
// what the owner is.
func (s *Sender) responsible(audience string, subject *Subject, told []string) (to []string) {
	if audience != Owner {
		return nil
	}
	for _, p := range subject.Responsible {
		if p.Email != "" && !among(told, p.Email) && !among(to, p.Email) {
			to = append(to, p.Email)
		}
	}
	return to
}

// concerns says whether a message is still for its recipient: people leave, and
// addresses are replaced, while it waits.
func (s *Sender) concerns(ctx context.Context, j Job, subject *Subject) (bool, error) {
	if j.Channel != Mail {
		return true, nil
	}
	if j.Audience == Responsible {
		return among(s.responsible(Owner, subject, nil), j.Recipient), nil
	}
	to, _, err := s.recipients(ctx, j.Audience, subject)
	return among(to, j.Recipient), err
}

func among(addresses []string, one string) bool {
	return slices.ContainsFunc(addresses, func(have string) bool { return strings.EqualFold(have, one) })
}

// due is when a message goes out: at once, or at the next full hour or day
// where an organization gathers its requests.
func (s *Sender) due(e Event, audience string, subject *Subject, now time.Time) time.Time {
	if e.Kind != ApprovalRequested || audience != Administrators {
		return now
	}
	switch subject.Organization.Gather {
	case "hourly":
		return now.UTC().Truncate(time.Hour).Add(time.Hour)
	case "daily":
		return now.UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
	}
	return now
}

// hooked are the jobs of the webhooks that an event concerns.
func (s *Sender) hooked(e Event, subject *Subject, now time.Time) []Job {
	var jobs []Job
	if e.Kind == AddressConfirmation {
		return nil // the link is for whoever reads that mailbox
	}
	for _, h := range s.Hooks {
		if len(h.Kinds) > 0 && !slices.Contains(h.Kinds, e.Kind) || len(h.Organizations) > 0 && !slices.Contains(h.Organizations, subject.Organization.Name) {
			continue
		}
		jobs = append(jobs, Job{Event: e, Channel: Webhook, Audience: audiences[e.Kind][0], Recipient: h.Name, NextAt: now})
	}
	return jobs
}
