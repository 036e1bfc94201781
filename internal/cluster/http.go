package cluster

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"lumela/internal/page"
	"lumela/internal/problem"
)

// Register adds the list of nodes to the API. allowed returns an error for a caller who may not see it.
func (m *Member) Register(api huma.API, allowed func(ctx context.Context) (string, error)) {
	huma.Register(api, huma.Operation{OperationID: "list-nodes", Method: http.MethodGet, Path: "/nodes", Tags: []string{"Installation"},
		Summary: "The nodes of the installation, those of the last day included"},
		func(ctx context.Context, _ *struct{}) (*page.Output[Node], error) {
			if _, err := allowed(ctx); err != nil {
				return nil, err
			}
			nodes, err := m.Nodes(ctx)
			if err != nil {
				return nil, problem.Wrap("read the nodes", err)
			}
			return page.Of(nodes, max(len(nodes), 1), func(n Node) []string { return []string{n.ID} }), nil
		})
}
