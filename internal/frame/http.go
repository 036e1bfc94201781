package frame

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"lumela/internal/page"
	"lumela/internal/problem"
	"lumela/internal/sse"
)

// Input is the query for frames.
type Input struct {
	page.Query
	page.Span
	Action string `query:"action" doc:"Only calls of this action and their answers"`
	Search string `query:"search" doc:"Only frames that contain this text"`
}

// Page reads one page of a station's frames. A call and its answer stay together, so a page of limit 1 may hold two.
func (l *Log) Page(ctx context.Context, station string, in Input) (*page.Output[Frame], error) {
	parts, err := in.Parse(2)
	if err != nil {
		return nil, err
	}
	most := max(1, in.Limit/2) // each may be two frames
	f := Filter{Action: in.Action, Contains: in.Search, Limit: most + 1}
	f.From, f.To = in.Bounds()
	_, f.Before = page.Span{}.Bounds()
	if in.Cursor != "" {
		us, err1 := strconv.ParseInt(parts[0], 10, 64)
		seq, err2 := strconv.ParseInt(parts[1], 10, 64)
		if err1 != nil || err2 != nil {
			return nil, problem.Field("cursor", "is not a cursor of this list")
		}
		f.Before, f.BeforeSeq = time.UnixMicro(us), seq
	}
	list, err := l.List(ctx, station, f)
	if err != nil {
		return nil, err
	}
	rows := page.Of(list, most, func(e Exchange) []string {
		return []string{strconv.FormatInt(e.Time.UnixMicro(), 10), strconv.FormatInt(e.seq, 10)}
	})
	out := &page.Output[Frame]{Body: page.List[Frame]{Items: []Frame{}, Next: rows.Body.Next}}
	for i := range rows.Body.Items {
		out.Body.Items = append(out.Body.Items, rows.Body.Items[i].frames()...)
	}
	slices.SortStableFunc(out.Body.Items, func(a, b Frame) int { return b.Time.Compare(a.Time) })
	return out, nil
}

type stationInput struct {
	ID string `path:"id" doc:"Identity of the station"`
	Input
}

// Scope is a station as an organisation may see it: from the moment on since which it is theirs.
type Scope struct {
	Station, Organisation string
	Since                 time.Time
}

// Register adds the operations of this package to the API. resolve gives the station of a path when the caller may see
// it.
func (l *Log) Register(api huma.API, resolve func(ctx context.Context, id string) (Scope, error)) {
	huma.Register(api, huma.Operation{OperationID: "station-frames", Method: http.MethodGet, Path: "/stations/{id}/frames",
		Summary: "Raw OCPP frames of a station, newest first", Tags: []string{"Frames"}},
		func(ctx context.Context, in *stationInput) (*page.Output[Frame], error) {
			scope, err := resolve(ctx, in.ID)
			if err != nil {
				return nil, err
			}
			if in.From.Before(scope.Since) {
				in.From = scope.Since
			}
			return l.Page(ctx, scope.Station, in.Input)
		})
	sse.Register(api, huma.Operation{OperationID: "station-frames-live", Method: http.MethodGet, Path: "/stations/{id}/frames/live",
		Summary: "Raw OCPP frames of a station as they pass", Tags: []string{"Frames"}}, map[string]any{"frame": Frame{}},
		func(ctx context.Context, in *struct {
			ID string `path:"id" doc:"Identity of the station"`
		}) (func(context.Context, *sse.Writer) error, error) {
			scope, err := resolve(ctx, in.ID)
			if err != nil {
				return nil, err
			}
			return func(ctx context.Context, w *sse.Writer) error { return l.stream(ctx, scope, w) }, nil
		})
}

func (l *Log) stream(ctx context.Context, scope Scope, w *sse.Writer) error {
	frames, stop, err := l.Follow(scope.Organisation, scope.Station)
	if err != nil {
		return err
	}
	defer stop()
	if err := w.Alive(); err != nil {
		return err
	}
	alive := time.NewTicker(sse.KeepAlive)
	defer alive.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case f := <-frames:
			err = w.Event("", "frame", f)
		case <-alive.C:
			err = w.Alive()
		}
		if err != nil {
			return err
		}
	}
}
