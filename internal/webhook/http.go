package webhook

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"lumela/internal/page"
)

// View is a webhook as the API shows it.
type View struct {
	ID           string     `json:"id"`
	URL          string     `json:"url"`
	Description  string     `json:"description"`
	Types        []string   `json:"types" doc:"Types of events, or the beginning of some as session.*; empty for all"`
	Status       Status     `json:"status" enum:"active,disabled,paused" doc:"paused: it has failed for days, or its receiver answered 410"`
	Reason       string     `json:"reason" doc:"Why it is paused"`
	CreatedAt    time.Time  `json:"createdAt"`
	FailingSince *time.Time `json:"failingSince" doc:"Null when the last attempt succeeded"`
	SucceededAt  *time.Time `json:"succeededAt" doc:"Last success"`
	OldSecretEnd *time.Time `json:"oldSecretEnd" doc:"Until then the secret before this one signs too"`
	Secret       string     `json:"secret,omitempty" doc:"whsec_…, shown only by the answer that made it"`
}

func (h *Webhooks) view(w *Webhook, secret string) View {
	v := View{ID: w.ID, URL: w.URL, Description: w.Description, Types: w.Types, Status: w.Status, Reason: w.Reason, CreatedAt: w.CreatedAt,
		FailingSince: w.FailingSince, SucceededAt: w.SucceededAt, Secret: secret}
	if v.Types == nil {
		v.Types = []string{}
	}
	if w.oldUntil != nil && h.clock.Now().Before(*w.oldUntil) {
		v.OldSecretEnd = w.oldUntil
	}
	return v
}

type createInput struct {
	Body struct {
		URL         string   `json:"url" minLength:"1" maxLength:"2048" doc:"https://…"`
		Description string   `json:"description,omitempty" maxLength:"500"`
		Types       []string `json:"types,omitempty" maxItems:"100" doc:"Types of events, or the beginning of some as session.*; all when absent or empty"`
	}
}

type patchInput struct {
	ID   string `path:"id"`
	Body struct {
		URL          *string   `json:"url,omitempty" minLength:"1" maxLength:"2048"`
		Description  *string   `json:"description,omitempty" maxLength:"500"`
		Types        *[]string `json:"types,omitempty" maxItems:"100"`
		Status       *Status   `json:"status,omitempty" enum:"active,disabled" doc:"active sends what is pending at once, and the events from now on"`
		RotateSecret bool      `json:"rotateSecret,omitempty" doc:"Make a new secret; the old one signs too for a day"`
	}
}

type idInput struct {
	ID string `path:"id"`
}

type deliveryInput struct {
	ID         string `path:"id"`
	DeliveryID string `path:"deliveryId"`
}

type deliveriesInput struct {
	ID string `path:"id"`
	page.Query
	Status string `query:"status" enum:"pending,delivered,failed"`
	Type   string `query:"type"`
}

type output struct{ Body View }

type deliveryOutput struct{ Body Delivery }

// Register adds the operations of this package to the API.
func (h *Webhooks) Register(api huma.API) {
	op := func(id, method, path, summary string, status int) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: path, Summary: summary, Tags: []string{"Webhooks"}, DefaultStatus: status}
	}
	huma.Register(api, op("list-webhooks", http.MethodGet, "/webhooks", "List webhooks", 200), h.list)
	huma.Register(api, op("create-webhook", http.MethodPost, "/webhooks", "Make a webhook; the answer shows its secret this once", 201), h.create)
	huma.Register(api, op("get-webhook", http.MethodGet, "/webhooks/{id}", "Read a webhook", 200), h.get)
	huma.Register(api, op("patch-webhook", http.MethodPatch, "/webhooks/{id}", "Change a webhook", 200), h.patch)
	huma.Register(api, op("delete-webhook", http.MethodDelete, "/webhooks/{id}", "Forget a webhook and its log", 204), h.delete)
	huma.Register(api, op("test-webhook", http.MethodPost, "/webhooks/{id}/test", "Send an event of the type webhook.test at once and see what came of it", 200), h.test)
	huma.Register(api, op("list-deliveries", http.MethodGet, "/webhooks/{id}/deliveries", "What was sent to a webhook and what waits, newest first", 200), h.deliveriesOf)
	huma.Register(api, op("resend-delivery", http.MethodPost, "/webhooks/{id}/deliveries/{deliveryId}/resend", "Send a delivery again, with a new schedule", 202), h.resend)
}

func (h *Webhooks) list(ctx context.Context, in *page.Query) (*page.Output[View], error) {
	org, err := owner(ctx)
	if err != nil {
		return nil, err
	}
	after, err := in.Parse(1)
	if err != nil {
		return nil, err
	}
	list, err := h.List(ctx, org)
	if err != nil {
		return nil, err
	}
	views := []View{}
	for _, w := range list {
		if w.ID > after[0] {
			views = append(views, h.view(w, ""))
		}
	}
	return page.Of(views, in.Limit, func(v View) []string { return []string{v.ID} }), nil
}

func (h *Webhooks) create(ctx context.Context, in *createInput) (*output, error) {
	org, err := owner(ctx)
	if err != nil {
		return nil, err
	}
	w := &Webhook{Organisation: org, URL: in.Body.URL, Description: in.Body.Description, Types: in.Body.Types}
	secret, err := h.Add(ctx, w)
	if err != nil {
		return nil, err
	}
	return &output{Body: h.view(w, secret)}, nil
}

func (h *Webhooks) get(ctx context.Context, in *idInput) (*output, error) {
	org, err := owner(ctx)
	if err != nil {
		return nil, err
	}
	w, err := h.Get(ctx, org, in.ID)
	if err != nil {
		return nil, err
	}
	return &output{Body: h.view(w, "")}, nil
}

func (h *Webhooks) patch(ctx context.Context, in *patchInput) (*output, error) {
	org, err := owner(ctx)
	if err != nil {
		return nil, err
	}
	b := in.Body
	w, secret, err := h.Change(ctx, org, in.ID, Change{URL: b.URL, Description: b.Description, Types: b.Types, Status: b.Status, Rotate: b.RotateSecret})
	if err != nil {
		return nil, err
	}
	return &output{Body: h.view(w, secret)}, nil
}

func (h *Webhooks) delete(ctx context.Context, in *idInput) (*struct{}, error) {
	org, err := owner(ctx)
	if err != nil {
		return nil, err
	}
	return nil, h.Remove(ctx, org, in.ID)
}

func (h *Webhooks) test(ctx context.Context, in *idInput) (*deliveryOutput, error) {
	org, err := owner(ctx)
	if err != nil {
		return nil, err
	}
	d, err := h.Test(ctx, org, in.ID)
	if err != nil {
		return nil, err
	}
	return &deliveryOutput{Body: *d}, nil
}

func (h *Webhooks) deliveriesOf(ctx context.Context, in *deliveriesInput) (*page.Output[*Delivery], error) {
	org, err := owner(ctx)
	if err != nil {
		return nil, err
	}
	before, err := in.Parse(1)
	if err != nil {
		return nil, err
	}
	list, err := h.Deliveries(ctx, org, in.ID, in.Status, in.Type, before[0], in.Limit+1)
	if err != nil {
		return nil, err
	}
	return page.Of(list, in.Limit, func(d *Delivery) []string { return []string{d.ID} }), nil
}

func (h *Webhooks) resend(ctx context.Context, in *deliveryInput) (*deliveryOutput, error) {
	org, err := owner(ctx)
	if err != nil {
		return nil, err
	}
	d, err := h.Resend(ctx, org, in.ID, in.DeliveryID)
	if err != nil {
		return nil, err
	}
	return &deliveryOutput{Body: *d}, nil
}
