package event

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"lumela/internal/sse"
)

type streamInput struct {
	LastEventID string `header:"Last-Event-ID" doc:"Resume after this event"`
	After       string `query:"after" doc:"The same as a parameter, for the first request of a browser"`
}

// Register adds the live stream to the API. organisation tells whose events the caller may see.
func (l *Log) Register(api huma.API, organisation func(context.Context) (string, error)) {
	sse.Register(api, huma.Operation{OperationID: "events", Method: http.MethodGet, Path: "/events", Tags: []string{"Events"},
		Summary:     "What happens, as it happens",
		Description: "Resumes after Last-Event-ID for 24 hours; an event may come twice then, with the same id. Where it cannot resume, the first event is resync: fetch everything again."},
		map[string]any{"message": Event{}},
		func(ctx context.Context, in *streamInput) (func(context.Context, *sse.Writer) error, error) {
			org, err := organisation(ctx)
			if err != nil {
				return nil, err
			}
			after := in.LastEventID
			if after == "" {
				after = in.After
			}
			return func(ctx context.Context, w *sse.Writer) error { return l.stream(ctx, org, after, w) }, nil
		})
}

// mostResumed is how many events a stream that resumes gets at most; beyond it fetching again is cheaper.
const mostResumed = 5000

func (l *Log) stream(ctx context.Context, organisation, after string, w *sse.Writer) error {
	s, err := l.Listen(organisation) // before reading what was missed, so that nothing falls between
	if err != nil {
		return err
	}
	defer s.Close()
	if err := l.follow(ctx); err != nil {
		return err
	}
	if err := w.Alive(); err != nil { // only now does the client hear that it listens: what it fetches next is complete with the stream
		return err
	}
	if after != "" {
		if err := l.resume(ctx, organisation, after, w); err != nil {
			return err
		}
	}
	alive := time.NewTicker(sse.KeepAlive)
	defer alive.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e, ok := <-s.C:
			if !ok { // too slow: the client comes again with its last id
				return nil
			}
			err = w.Event(e.ID, e.Type, e)
		case <-alive.C:
			err = w.Alive()
		}
		if err != nil {
			return err
		}
	}
}

func (l *Log) resume(ctx context.Context, organisation, after string, w *sse.Writer) error {
	missed, ok, err := l.Since(ctx, organisation, after, mostResumed)
	if err != nil {
		return err
	}
	if !ok {
		e := New(Resync, organisation, "", time.Now(), struct{}{})
		return w.Event(e.ID, e.Type, e)
	}
	for _, e := range missed {
		if err := w.Event(e.ID, e.Type, e); err != nil {
			return err
		}
	}
	return nil
}
