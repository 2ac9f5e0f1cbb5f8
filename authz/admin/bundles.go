package admin

import (
	"context"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

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
	// Shadow is the bundle that is evaluated beside the active one, with its tag; nil
	// where there is none.
	Shadow() (*authz.Shadow, string)
	SetShadow(ctx context.Context, act authz.BundleAct, tarball []byte, sample float64) (*authz.Shadow, string, error)
	EndShadow(context.Context, authz.BundleAct) error
	Promote(context.Context, authz.BundleAct, authz.PromotionGuard) (*authz.BundleChange, error)
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

// BundlePromotion is the body that makes the shadow active.
type BundlePromotion struct {
	IfEvaluated    int64  `json:"if_evaluated,omitempty" minimum:"0" doc:"Only if it was evaluated on so many requests"`
	MaxDifferences *int64 `json:"max_differences,omitempty" minimum:"0" doc:"Only if it would answer at most so many of them otherwise"`
}

// shadowing is the input that sets a shadow: its tarball, as it stands.
type shadowing struct {
	DryRun
	IfMatch
	Bundle  string  `query:"bundle" maxLength:"200" doc:"In the place of which one, by the name of its status; may be left out where there is one alone"`
	Sample  float64 `query:"sample" default:"0.1" maximum:"1" doc:"On what part of the requests it is evaluated: more than 0, 1 at most"`
	RawBody []byte  `contentType:"application/gzip"`
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
	s.shadow()
}

func (s *service) shadow() {
	register(s, "get-shadow-bundle", "GET", "/api/bundles/shadow", "Show the bundle that is evaluated beside the active one, and what was counted", func(context.Context, *struct{}) (*tagged[authz.Shadow], error) {
		shadow, tag := s.Bundles.Shadow()
		if shadow == nil {
			return nil, newProblem(http.StatusNotFound, "not_found", "no bundle is shadowed")
		}
		return &tagged[authz.Shadow]{quoted(tag), *shadow}, nil
	})
	operate(s, huma.Operation{
		OperationID: "set-shadow-bundle", Method: "PUT", Path: "/api/bundles/shadow", Summary: "Evaluate a bundle, a tarball, beside the active one on a sample of the requests; its answers are only counted",
		MaxBodyBytes: authz.MaxShadow, BodyReadTimeout: importTimeout, SkipValidateBody: true,
	}, func(ctx context.Context, in *shadowing) (*tagged[authz.Shadow], error) {
		act, err := s.bundleAct(ctx, "shadow", in.Bundle, in.IfMatch.IfMatch, in.DryRun.DryRun)
		if err != nil {
			return nil, err
		}
		shadow, tag, err := s.Bundles.SetShadow(ctx, act, in.RawBody, in.Sample)
		if err != nil {
			return nil, err
		}
		return &tagged[authz.Shadow]{quoted(tag), *shadow}, nil
	})
	register(s, "end-shadow-bundle", "DELETE", "/api/bundles/shadow", "Evaluate no bundle beside the active one any more", func(ctx context.Context, in *struct{ IfMatch }) (*struct{}, error) {
		act, err := s.bundleAct(ctx, "unshadow", "", in.IfMatch.IfMatch, false)
		if err != nil {
			return nil, err
		}
		return nil, s.Bundles.EndShadow(ctx, act)
	})
	register(s, "promote-shadow-bundle", "POST", "/api/bundles/promote", "Make the bundle that is evaluated beside the active one active, and hold its source until that changes", func(ctx context.Context, in *struct {
		DryRun
		IfMatch
		Body BundlePromotion
	},
	) (*body[authz.BundleChange], error) {
		act, err := s.bundleAct(ctx, "promote", "", in.IfMatch.IfMatch, in.DryRun.DryRun)
		if err != nil {
			return nil, err
		}
		return bundleChanged(s.Bundles.Promote(ctx, act, authz.PromotionGuard{IfEvaluated: in.Body.IfEvaluated, MaxDifferences: in.Body.MaxDifferences}))
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
