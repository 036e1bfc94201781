package retention

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"lumela/internal/account"
)

// View is what GET /retention answers.
type View struct {
	Items         []Class `json:"items"`
	Next          *string `json:"next" doc:"Always null"`
	DatabaseBytes int64   `json:"databaseBytes" doc:"The whole database; without the frames where those have files of their own"`
	FreeBytes     int64   `json:"freeBytes" doc:"Of these, what new data use before the file grows"`
}

type output struct{ Body View }

// Register adds the operations of this package to the API.
func (k *Keeper) Register(api huma.API) {
	huma.Register(api, huma.Operation{OperationID: "retention", Method: http.MethodGet, Path: "/retention", Tags: []string{"Installation"},
		Summary:     "What is kept for how long, how much there is of it, and what is due to be forgotten",
		Description: "Of the whole installation, so only for owners."},
		func(ctx context.Context, _ *struct{}) (*output, error) {
			if _, err := account.Require(ctx, account.Owner); err != nil {
				return nil, err
			}
			list, err := k.Report(ctx)
			if err != nil {
				return nil, err
			}
			size, err := k.db.Size(ctx)
			if err != nil {
				return nil, err
			}
			return &output{Body: View{Items: list, DatabaseBytes: size.Bytes, FreeBytes: size.Free}}, nil
		})
}
