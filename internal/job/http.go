package job

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"lumela/internal/page"
	"lumela/internal/problem"
)

// Register adds the list of jobs to the API. allowed returns an error for a caller who may not see it.
func (r *Runner) Register(api huma.API, allowed func(ctx context.Context) (string, error)) {
	huma.Register(api, huma.Operation{OperationID: "list-jobs", Method: http.MethodGet, Path: "/jobs", Tags: []string{"Installation"},
		Summary: "Periodic work: when it ran, where, and how it ended"},
		func(ctx context.Context, _ *struct{}) (*page.Output[State], error) {
			if _, err := allowed(ctx); err != nil {
				return nil, err
			}
			jobs, err := r.Jobs(ctx)
			if err != nil {
				return nil, problem.Wrap("read the jobs", err)
			}
			return page.Of(jobs, max(len(jobs), 1), func(s State) []string { return []string{s.Name} }), nil
		})
}
