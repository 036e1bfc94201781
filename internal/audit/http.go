package audit

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"lumela/internal/account"
	"lumela/internal/page"
)

type listInput struct {
	page.Query
	page.Span
	Who       string `query:"who" doc:"An e-mail address, key NAME, or the id of a user or a key"`
	Operation string `query:"operation" doc:"Id of an operation of this description"`
	Object    string `query:"object" doc:"Id of an object"`
	Station   string `query:"station"`
}

// Register adds the operations of this package to the API.
func (l *Log) Register(api huma.API) {
	huma.Register(api, huma.Operation{OperationID: "list-audit", Method: http.MethodGet, Path: "/audit", Tags: []string{"Account"},
		Summary:     "Who did what, the newest first",
		Description: "Every change and command that came through the API, and every attempt to sign in. Secrets are blanked."},
		func(ctx context.Context, in *listInput) (*page.Output[Entry], error) {
			p, err := account.May(ctx, account.AuditRead)
			if err != nil {
				return nil, err
			}
			parts, err := in.Parse(1)
			if err != nil {
				return nil, err
			}
			f := Filter{Who: in.Who, Operation: in.Operation, Object: in.Object, Station: in.Station, Before: parts[0], Limit: in.Limit + 1}
			f.From, f.To = in.Bounds()
			list, err := l.List(ctx, p.Organisation, f)
			if err != nil {
				return nil, err
			}
			return page.Of(list, in.Limit, func(e Entry) []string { return []string{e.ID} }), nil
		})
}
