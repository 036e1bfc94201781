// Package sse sends server-sent events: text ids that can be resumed from, and comments that keep quiet streams alive.
package sse

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// KeepAlive is how often a quiet stream should say that it is still there: proxies cut silent connections after a
// minute.
const KeepAlive = 20 * time.Second

// writeTimeout is how long one event may take to reach a slow client before its stream is given up.
const writeTimeout = 10 * time.Second

// Writer sends events to one client.
type Writer struct {
	w    http.ResponseWriter
	ctrl *http.ResponseController
	buf  bytes.Buffer
}

// Event sends one event; id may be empty.
func (w *Writer) Event(id, typ string, data any) error {
	raw, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("write event %s: %w", typ, err)
	}
	w.buf.Reset()
	if id != "" {
		fmt.Fprintf(&w.buf, "id: %s\n", id)
	}
	fmt.Fprintf(&w.buf, "event: %s\ndata: ", typ)
	w.buf.Write(raw)
	w.buf.WriteString("\n\n")
	return w.flush()
}

// Alive sends a comment.
func (w *Writer) Alive() error {
	w.buf.Reset()
	w.buf.WriteString(": still here\n\n")
	return w.flush()
}

func (w *Writer) flush() error {
	if err := w.ctrl.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return fmt.Errorf("limit the write: %w", err)
	}
	if _, err := w.w.Write(w.buf.Bytes()); err != nil {
		return fmt.Errorf("write the event: %w", err)
	}
	return w.ctrl.Flush()
}

type endKey struct{}

// WithEnd gives the requests of a server something that ends their streams, and nothing else: a node that stops closes it,
// and the clients go on at another one.
func WithEnd(ctx context.Context, end <-chan struct{}) context.Context {
	return context.WithValue(ctx, endKey{}, end)
}

// untilEnd is a context that ends with the streams.
func untilEnd(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	end, ok := ctx.Value(endKey{}).(<-chan struct{})
	if !ok {
		return ctx, cancel
	}
	go func() {
		select {
		case <-end:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// Register adds an operation that streams events. open checks the request and gives the function that sends until the
// context ends or sending fails; its error is a normal problem response. That
// function should send Alive as soon as it misses nothing any more: the client takes it for the beginning. types describe the data of each event type.
func Register[I any](api huma.API, op huma.Operation, types map[string]any,
	open func(ctx context.Context, in *I) (func(ctx context.Context, w *Writer) error, error)) {
	op.Responses = map[string]*huma.Response{"200": {Description: "A stream of server-sent events",
		Content: map[string]*huma.MediaType{"text/event-stream": {Schema: eventSchema(api, types)}}}}
	huma.Register(api, op, func(ctx context.Context, in *I) (*huma.StreamResponse, error) {
		run, err := open(ctx, in)
		if err != nil {
			return nil, err
		}
		return &huma.StreamResponse{Body: func(hc huma.Context) {
			rw, ok := hc.BodyWriter().(http.ResponseWriter)
			if !ok {
				hc.SetStatus(http.StatusInternalServerError)
				return
			}
			hc.SetHeader("Content-Type", "text/event-stream")
			hc.SetHeader("Cache-Control", "no-store")
			hc.SetHeader("X-Accel-Buffering", "no")
			w := &Writer{w: rw, ctrl: http.NewResponseController(rw)}
			ctx, cancel := untilEnd(hc.Context())
			defer cancel()
			_ = run(ctx, w) // it ends when the client goes: nobody is left to be told
		}}, nil
	})
}

func eventSchema(api huma.API, types map[string]any) *huma.Schema {
	s := &huma.Schema{Type: huma.TypeString, Description: "Events; the data of each type has the schema under x-events"}
	events := map[string]any{}
	for name, v := range types {
		events[name] = api.OpenAPI().Components.Schemas.Schema(reflect.TypeOf(v), true, name)
	}
	s.Extensions = map[string]any{"x-events": events}
	return s
}
