package app_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"lumela/internal/app"
	"lumela/internal/app/apptest"
)

// heard is a message that somebody else's system got.
type heard struct {
	header http.Header
	body   string
	event  struct{ ID, Type, Station, Timestamp string }
}

// hookReceiver gives the messages that it gets to a channel.
func hookReceiver(t *testing.T) (url string, messages chan heard) {
	t.Helper()
	messages = make(chan heard, 100)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		m := heard{header: r.Header, body: string(raw)}
		if err != nil || json.Unmarshal(raw, &m.event) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		messages <- m
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(s.Close)
	return s.URL, messages
}

// nextHeard waits for a message.
func nextHeard(t *testing.T, messages chan heard) (m heard) {
	t.Helper()
	apptest.Poll(t, "a message of the webhook", func() bool {
		select {
		case m = <-messages:
			return true
		default:
			return false
		}
	})
	return m
}

// signed reports whether a message is signed with a secret, computed from the specification.
func (m heard) signed(t *testing.T, secret string) bool {
	t.Helper()
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(m.header.Get("webhook-id") + "." + m.header.Get("webhook-timestamp") + "." + m.body))
	return slices.Contains(strings.Split(m.header.Get("webhook-signature"), " "), "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}

type hookView struct{ ID, Secret, Status string }

// TestWebhookCharge: another system hears of a charge, in order, signed and once.
func TestWebhookCharge(t *testing.T) {
	t.Parallel()
	allow := apptest.With(func(c *app.Config) { c.WebhookAllowPrivate = true })
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); webhookCharge(t, apptest.Start(t, allow)) })
	t.Run("postgres", func(t *testing.T) { t.Parallel(); webhookCharge(t, apptest.Start(t, allow, apptest.OnPostgres())) })
}

func webhookCharge(t *testing.T, n *apptest.Node) {
	t.Helper()
	address, messages := hookReceiver(t)
	var hook hookView
	n.Want(t, 201, "POST", "/webhooks", `{"url":"`+address+`","types":["session.*","webhook.test"],"description":"billing"}`).Into(t, &hook)
	if !strings.HasPrefix(hook.Secret, "whsec_") || hook.Status != "active" {
		t.Fatalf("made %+v", hook)
	}
	s := n.Dial(t, "S", "2.1", apptest.Dial{}).Boot("2.1")
	s.Ask(call("1", "TransactionEvent", `{"eventType":"Started","timestamp":"`+stamp(60)+`","triggerReason":"CablePluggedIn","seqNo":0,"transactionInfo":{"transactionId":"T"},"evse":{"id":1}}`), `[3,"1",{}]`)
	s.Ask(call("2", "TransactionEvent", `{"eventType":"Ended","timestamp":"`+stamp(0)+`","triggerReason":"EVDeparted","seqNo":1,"transactionInfo":{"transactionId":"T"}}`), `[3,"2",{}]`)
	var types []string
	for range 2 {
		m := nextHeard(t, messages)
		if !m.signed(t, hook.Secret) || m.event.ID != m.header.Get("webhook-id") || m.event.Station != "S" || m.event.Timestamp == "" {
			t.Errorf("%v %s", m.header, m.body)
		}
		types = append(types, m.event.Type)
	}
	if !slices.Equal(types, []string{"session.started", "session.ended"}) {
		t.Errorf("heard %v", types)
	}
	path := "/webhooks/" + hook.ID
	var log struct {
		Items []struct{ ID, Status, Type string }
	}
	apptest.Poll(t, "the log of both", func() bool {
		n.Get(t, path+"/deliveries?status=delivered", &log)
		return len(log.Items) == 2
	})
	again := n.Want(t, 202, "POST", path+"/deliveries/"+log.Items[0].ID+"/resend", "").Body
	if m := nextHeard(t, messages); m.event.Type != "session.ended" || !strings.Contains(again, m.event.ID) {
		t.Errorf("sent again: %s", m.body)
	}
	var rotated hookView
	n.Want(t, 200, "PATCH", path, `{"rotateSecret":true}`).Into(t, &rotated)
	n.Want(t, 200, "POST", path+"/test", "")
	if m := nextHeard(t, messages); m.event.Type != "webhook.test" || !m.signed(t, hook.Secret) || !m.signed(t, rotated.Secret) || hook.Secret == rotated.Secret {
		t.Errorf("after the rotation: %v %s", m.header, m.body)
	}
	for _, where := range []string{"/webhooks", path, path + "/deliveries"} {
		if body := n.Want(t, 200, "GET", where, "").Body; strings.Contains(body, "whsec_") {
			t.Errorf("%s shows the secret", where)
		}
	}
	n.Want(t, 204, "DELETE", path, "")
	n.Want(t, 404, "GET", path+"/deliveries", "")
	if len(messages) > 0 {
		t.Errorf("%d more messages", len(messages))
	}
}

// TestWebhookAccess: owners of the organisation alone, and no address of the own network unless it is allowed.
func TestWebhookAccess(t *testing.T) {
	t.Parallel()
	n := apptest.Start(t)
	address, messages := hookReceiver(t)
	for _, url := range []string{address, "https://localhost/x", "https://169.254.169.254/latest", "https://[::1]/", "gopher://x"} {
		playScenarios(t, n.Client, []scenario{{"POST", "/webhooks", `{"url":"` + url + `"}`, 422, problemPattern("422", "url"), nil}})
	}
	playScenarios(t, n.Client, []scenario{{"POST", "/webhooks", `{"url":"https://example.com","types":["Nonsense!"]}`, 422, problemPattern("422", "types"), nil}})
	var hook, theirs hookView
	n.Want(t, 201, "POST", "/webhooks", `{"url":"https://example.com/hook?key=hush"}`).Into(t, &hook)
	n.Want(t, 200, "PATCH", "/webhooks/"+hook.ID, `{"status":"disabled"}`)
	other := n.AddOrganisation(t, "rival", "owner")
	other.Want(t, 201, "POST", "/webhooks", `{"url":"https://example.com"}`).Into(t, &theirs)
	other.Want(t, 200, "PATCH", "/webhooks/"+theirs.ID, `{"status":"disabled"}`)
	path := "/webhooks/" + hook.ID
	for _, role := range []string{"viewer", "operator"} {
		c := n.AddKey(t, role)
		for _, line := range []string{"GET /webhooks", "POST /webhooks", "GET " + path, "PATCH " + path, "DELETE " + path, "POST " + path + "/test",
			"GET " + path + "/deliveries", "POST " + path + "/deliveries/x/resend"} {
			method, where, _ := strings.Cut(line, " ")
			body := map[string]string{"POST /webhooks": `{"url":"https://example.com"}`, "PATCH " + path: `{"rotateSecret":true}`}[line]
			c.Want(t, 403, method, where, body)
		}
	}
	for _, line := range []string{"GET " + path, "PATCH " + path, "DELETE " + path, "POST " + path + "/test", "GET " + path + "/deliveries", "POST " + path + "/deliveries/x/resend"} {
		method, where, _ := strings.Cut(line, " ")
		body := map[string]string{"PATCH": `{"rotateSecret":true}`}[method]
		other.Want(t, 404, method, where, body)
	}
	if body := other.Want(t, 200, "GET", "/webhooks", "").Body; strings.Contains(body, "hush") || !strings.Contains(body, theirs.ID) {
		t.Errorf("listed %s", body)
	}
	if len(messages) > 0 {
		t.Error("the own network was reached")
	}
}
