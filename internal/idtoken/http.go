package idtoken

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"lumela/internal/account"
	"lumela/internal/page"
	"lumela/internal/problem"
)

type createTokenInput struct {
	Body struct {
		UID        string     `json:"uid" minLength:"1" maxLength:"255"`
		Type       string     `json:"type,omitempty" doc:"As OCPP 2.1's IdTokenEnum; absent matches any type"`
		Status     Status     `json:"status,omitempty" enum:"active,blocked" doc:"active when absent"`
		Group      string     `json:"group,omitempty" maxLength:"36"`
		ValidUntil *time.Time `json:"validUntil,omitempty"`
		Note       string     `json:"note,omitempty" maxLength:"500"`
	}
}

type patchTokenInput struct {
	ID   string `path:"id"`
	Body struct {
		Type       *string    `json:"type,omitempty"`
		Status     *Status    `json:"status,omitempty" enum:"active,blocked"`
		Group      *string    `json:"group,omitempty" maxLength:"36"`
		ValidUntil *time.Time `json:"validUntil,omitempty"`
		Forever    bool       `json:"forever,omitempty" doc:"Take the end of validity away"`
		Note       *string    `json:"note,omitempty" maxLength:"500"`
	}
}

type tokenOutput struct{ Body Token }

type listInput struct {
	page.Query
	UID string `query:"uid"`
}

type idInput struct {
	ID string `path:"id"`
}

// Register adds the operations of this package to the API.
func (t *Tokens) Register(api huma.API) {
	op := func(id, method, path, summary string, status int) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: path, Summary: summary, Tags: []string{"Tokens"}, DefaultStatus: status}
	}
	huma.Register(api, op("list-tokens", http.MethodGet, "/tokens", "List tokens", 200), t.list)
	huma.Register(api, op("create-token", http.MethodPost, "/tokens", "Make a token", 201), t.create)
	huma.Register(api, op("get-token", http.MethodGet, "/tokens/{id}", "Read a token", 200), t.get)
	huma.Register(api, op("patch-token", http.MethodPatch, "/tokens/{id}", "Change a token", 200), t.patch)
	huma.Register(api, op("delete-token", http.MethodDelete, "/tokens/{id}", "Forget a token", 204), t.delete)
}

func (t *Tokens) list(ctx context.Context, in *listInput) (*page.Output[Token], error) {
	p, err := account.Require(ctx, account.Viewer)
	if err != nil {
		return nil, err
	}
	after, err := in.Parse(1)
	if err != nil {
		return nil, err
	}
	list, err := t.List(ctx, p.Organisation, in.UID, after[0], in.Limit+1)
	if err != nil {
		return nil, err
	}
	return page.Of(list, in.Limit, func(t Token) []string { return []string{t.ID} }), nil
}

func (t *Tokens) create(ctx context.Context, in *createTokenInput) (*tokenOutput, error) {
	p, err := account.Require(ctx, account.Operator)
	if err != nil {
		return nil, err
	}
	b := in.Body
	token := Token{UID: b.UID, Type: b.Type, Status: b.Status, Group: b.Group, ValidUntil: b.ValidUntil, Note: b.Note}
	if token.Status == "" {
		token.Status = Active
	}
	if err := t.Add(ctx, p.Organisation, &token); err != nil {
		return nil, err
	}
	return &tokenOutput{Body: token}, nil
}

func (t *Tokens) get(ctx context.Context, in *idInput) (*tokenOutput, error) {
	p, err := account.Require(ctx, account.Viewer)
	if err != nil {
		return nil, err
	}
	token, err := t.Get(ctx, p.Organisation, in.ID)
	if err != nil {
		return nil, err
	}
	return &tokenOutput{Body: *token}, nil
}

func (t *Tokens) patch(ctx context.Context, in *patchTokenInput) (*tokenOutput, error) {
	p, err := account.Require(ctx, account.Operator)
	if err != nil {
		return nil, err
	}
	if in.Body.Forever && in.Body.ValidUntil != nil {
		return nil, problem.Field("forever", "contradicts validUntil")
	}
	token, err := t.Change(ctx, p.Organisation, in.ID, func(token *Token) {
		b := in.Body
		set(&token.Type, b.Type)
		set(&token.Status, b.Status)
		set(&token.Group, b.Group)
		set(&token.Note, b.Note)
		if b.ValidUntil != nil || b.Forever {
			token.ValidUntil = b.ValidUntil
		}
	})
	if err != nil {
		return nil, err
	}
	return &tokenOutput{Body: *token}, nil
}

func set[T any](to *T, v *T) {
	if v != nil {
		*to = *v
	}
}

func (t *Tokens) delete(ctx context.Context, in *idInput) (*struct{}, error) {
	p, err := account.Require(ctx, account.Operator)
	if err != nil {
		return nil, err
	}
	return nil, t.Remove(ctx, p.Organisation, in.ID)
}
