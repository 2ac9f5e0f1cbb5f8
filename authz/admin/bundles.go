package admin

import (
	"context"
	"net/http"
	"strings"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// Bundles are this server's policy bundles, as operators act on them. Errors are
// [*authz.BundleError] where nothing failed here.
type Bundles interface {
	// History lists the versions that were active, with the tag of what it shows.
	History() (list []authz.BundleVersion, tag string)
	RollBack(context.Context, authz.BundleAct) (*authz.BundleChange, error)
	// Release ends a hold: what the source has counts again.
	Release(context.Context, authz.BundleAct) (*authz.BundleChange, error)
}

// BundleRollback is the body that makes an earlier version active.
type BundleRollback struct {
	Bundle string `json:"bundle,omitempty" maxLength:"200" doc:"Which one, by the name of its status; may be left out where there is one alone"`
	To     string `json:"to,omitempty" maxLength:"200" doc:"The revision or digest; left out: the one before the active"`
}

// BundleName is the body that names a bundle.
type BundleName struct {
	Bundle string `json:"bundle,omitempty" maxLength:"200" doc:"Which one, by the name of its status; may be left out where there is one alone"`
}

// DryRun asks what an operation would do.
type DryRun struct {
	DryRun bool `query:"dry_run" doc:"Only say what would come of it"`
}

// tagged is an answer with a tag that is no version of a row.
type tagged[T any] struct {
	ETag string `header:"ETag"`
	Body T
}

func (s *service) bundles() {
	register(s, "list-bundle-history", "GET", "/api/bundles/history", "List the versions of each bundle that were active on this server", func(context.Context, *struct{}) (*tagged[[]authz.BundleVersion], error) {
		list, tag := s.Bundles.History()
		return &tagged[[]authz.BundleVersion]{quoted(tag), list}, nil
	})
	register(s, "roll-back-bundle", "POST", "/api/bundles/rollback", "Make an earlier version of a bundle active, and hold its source until that changes", func(ctx context.Context, in *struct {
		DryRun
		IfMatch
		Body BundleRollback
	},
	) (*body[authz.BundleChange], error) {
		act, err := s.bundleAct(ctx, "rollback", in.Body.Bundle, in.IfMatch.IfMatch, in.DryRun.DryRun)
		if err != nil {
			return nil, err
		}
		act.To = in.Body.To
		return bundleChanged(s.Bundles.RollBack(ctx, act))
	})
	register(s, "release-bundle", "POST", "/api/bundles/release", "End the hold of a bundle: what its source has is active, if the gate takes it", func(ctx context.Context, in *struct {
		DryRun
		IfMatch
		Body BundleName
	},
	) (*body[authz.BundleChange], error) {
		act, err := s.bundleAct(ctx, "release", in.Body.Bundle, in.IfMatch.IfMatch, in.DryRun.DryRun)
		if err != nil {
			return nil, err
		}
		return bundleChanged(s.Bundles.Release(ctx, act))
	})
}

// bundleAct is an act by whoever asks, which the audit log has before it is done.
func (s *service) bundleAct(ctx context.Context, name, bundle, match string, dry bool) (act authz.BundleAct, err error) {
	by := actor(ctx)
	if by.Kind == "" {
		return act, errNoActor
	}
	tag, err := unquoted(match)
	if err != nil {
		return act, err
	}
	return authz.BundleAct{
		Bundle: bundle, By: by.Name, Match: tag, DryRun: dry,
		Note: func(ctx context.Context, details map[string]any) error {
			_, err := s.do(ctx, inventory.ActOnBundle{Act: name, Details: details})
			return err
		},
	}, nil
}

func bundleChanged(c *authz.BundleChange, err error) (*body[authz.BundleChange], error) {
	if err != nil {
		return nil, err
	}
	return &body[authz.BundleChange]{*c}, nil
}

func quoted(tag string) string { return `"` + tag + `"` }

// unquoted is the tag of an If-Match; "" where any will do.
func unquoted(match string) (string, error) {
	if match == "" || match == "*" {
		return "", nil
	}
	tag, opened := strings.CutPrefix(match, `"`)
	tag, closed := strings.CutSuffix(tag, `"`)
	if !opened || !closed || tag == "" || strings.Contains(tag, `"`) {
		return "", &inventory.Invalid{Field: "If-Match", Problem: notOneETag}
	}
	return tag, nil
}

// bundleProblem says why an act on bundles was not done.
func bundleProblem(err *authz.BundleError) *Problem {
	switch err.Kind {
	case authz.BundleMissing:
		return newProblem(http.StatusNotFound, "not_found", err.Detail)
	case authz.BundleInvalid:
		return newProblem(http.StatusUnprocessableEntity, "invalid", err.Detail, FieldProblem{err.Field, err.Detail})
	case authz.BundleRefused:
		return newProblem(http.StatusUnprocessableEntity, "bundle_refused", err.Detail)
	case authz.BundleChanged:
		return newProblem(http.StatusPreconditionFailed, "precondition_failed", err.Detail, FieldProblem{"If-Match", err.Detail})
	}
	return newProblem(http.StatusConflict, "conflict", err.Detail)
}
