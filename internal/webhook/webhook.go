// Package webhook tells other systems what happens: it posts the kept events of an organisation to addresses that its
// owner names, signed after the Standard Webhooks specification.
//
// One node at a time works (a job that is held as long as the node lives). For each webhook it takes the events behind a
// cursor into a log of deliveries, in the transaction that moves the cursor, and sends them one after the other. An event is
// delivered at least once; its id comes again with each attempt. It holds up those after it for [held] attempts; after that
// they overtake it.
package webhook

import (
	"context"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"lumela/internal/account"
	"lumela/internal/clock"
	"lumela/internal/db"
	"lumela/internal/event"
	"lumela/internal/problem"
)

// Status is whether a webhook is sent to.
type Status string

// The states of a webhook.
const (
	Active   Status = "active"
	Disabled Status = "disabled" // by its owner
	Paused   Status = "paused"   // by Lumela: it has failed for days, or answered 410
)

// Outcome is what has become of a delivery.
type Outcome string

// The states of a delivery.
const (
	Pending   Outcome = "pending"
	Delivered Outcome = "delivered"
	Failed    Outcome = "failed" // given up; it can be sent again by hand
)

// TestType is the type of the event that a test sends. It is not among the events of the organisation.
const TestType = "webhook.test"

const (
	// MostWebhooks bounds the webhooks of an organisation.
	MostWebhooks = 20
	// mostPending bounds the deliveries that wait for a webhook; more events stay where they are until some are done.
	mostPending = 10_000
	// mostTaken bounds the events that are taken at once.
	mostTaken = 500
	// mostSent bounds the deliveries of one turn of a webhook.
	mostSent = 200
	// mostSending bounds the webhooks that are sent to at once.
	mostSending = 64
	// oldSecret is how long a secret signs after it has been replaced.
	oldSecret = 24 * time.Hour
	// held is for how many attempts an event holds up those after it.
	held = 3
	// longestProbe bounds the pause of a webhook whose receiver fails whatever it is sent, so that its return is noticed.
	longestProbe = 5 * time.Minute
	// keepDelivered and keepFailed are how long deliveries stay in the log. Both are longer than event.Retention, so that
	// an event that is read twice is known.
	keepDelivered = 3 * 24 * time.Hour
	keepFailed    = 30 * 24 * time.Hour
	// placeEvery is how often the place in the events is kept when there was nothing for the webhook.
	placeEvery = 30 * time.Second
)

// pauses are those between attempts, those of the Standard Webhooks specification: ten attempts within about three days.
var pauses = []time.Duration{5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour,
	14 * time.Hour, 20 * time.Hour, 24 * time.Hour}

// Webhook is an address that events are sent to.
type Webhook struct {
	ID           string
	Organisation string
	URL          string
	Description  string
	Types        []string // names, or names that end in .*; none for all
	Status       Status
	Reason       string // why it is paused
	CreatedAt    time.Time
	FailingSince *time.Time // of the first of the failures that no success has followed
	SucceededAt  *time.Time // last

	secret, old []byte
	oldUntil    *time.Time
	place       event.Cursor
	placeAt     time.Time
	streak      int
	nextAt      time.Time
}

// wants reports whether an event is for the webhook.
func (w *Webhook) wants(typ string) bool {
	return len(w.Types) == 0 || slices.ContainsFunc(w.Types, func(t string) bool {
		prefix, all := strings.CutSuffix(t, "*")
		return t == typ || all && strings.HasPrefix(typ, prefix)
	})
}

// keys are the secrets that sign at a time, the present one first.
func (w *Webhook) keys(now time.Time) [][]byte {
	if w.oldUntil != nil && now.Before(*w.oldUntil) {
		return [][]byte{w.secret, w.old}
	}
	return [][]byte{w.secret}
}

// Delivery is an event on its way to a webhook.
type Delivery struct {
	ID             string     `json:"id"`
	EventID        string     `json:"eventId" doc:"The webhook-id of every attempt"`
	Type           string     `json:"type"`
	Time           time.Time  `json:"time" doc:"Of the event"`
	Status         Outcome    `json:"status" enum:"pending,delivered,failed"`
	Attempts       int        `json:"attempts"`
	ResponseStatus int        `json:"responseStatus" doc:"HTTP status of the last answer, 0 without one"`
	Response       string     `json:"response" doc:"First kB of the last answer"`
	Error          string     `json:"error" doc:"Why the last attempt failed"`
	CreatedAt      time.Time  `json:"createdAt"`
	AttemptedAt    *time.Time `json:"attemptedAt" doc:"Last"`
	NextAttempt    *time.Time `json:"nextAttempt" doc:"Null unless it is pending"`

	body string
	step int
}

// Options say how webhooks work.
type Options struct {
	AllowPrivate bool          // addresses of the own network and plain HTTP are allowed
	Timeout      time.Duration // of an attempt; 15 s when zero
	Poll         time.Duration // how often new events are looked for; 1 s when zero
	PauseAfter   time.Duration // a webhook that has failed for so long is paused; 4 days when zero
	Clock        clock.Clock   // the machine's when nil
}

// Webhooks are the webhooks of an installation.
type Webhooks struct {
	db     *db.DB
	events *event.Log
	log    *slog.Logger
	o      Options
	clock  clock.Clock
	client *http.Client

	mu   sync.Mutex
	busy map[string]bool // webhooks that have their turn on this node
}

// New makes the webhooks of a node.
func New(d *db.DB, events *event.Log, log *slog.Logger, o Options) *Webhooks {
	if o.Timeout == 0 {
		o.Timeout = 15 * time.Second
	}
	if o.Poll == 0 {
		o.Poll = time.Second
	}
	if o.PauseAfter == 0 {
		o.PauseAfter = 4 * 24 * time.Hour
	}
	if o.Clock == nil {
		o.Clock = clock.System
	}
	return &Webhooks{db: d, events: events, log: log, o: o, clock: o.Clock, client: newClient(o), busy: map[string]bool{}}
}

var typeName = regexp.MustCompile(`^[a-z]+(\.[a-z]+)*(\.\*)?$`)

// notKept are the events that are only published, never kept.
var notKept = []string{event.Resync}

// checkTypes refuses what is no filter.
func checkTypes(types []string) error {
	for _, t := range types {
		if len(t) > 64 || !typeName.MatchString(t) {
			return problem.Field("types", "%q is neither a type of event nor the beginning of some, as session.*", t)
		}
		if slices.Contains(notKept, t) {
			return problem.Field("types", "%s belongs to live streams and is not delivered", t)
		}
	}
	return nil
}

// Add makes a webhook of an organisation, from its address, description and types. It gets the events from now on. secret is
// shown this once.
func (h *Webhooks) Add(ctx context.Context, w *Webhook) (secret string, err error) {
	if err := errOr(h.checkURL(w.URL), checkTypes(w.Types)); err != nil {
		return "", err
	}
	if w.place, err = h.events.Here(ctx); err != nil {
		return "", problem.Wrap("read the events", err)
	}
	w.Status, w.secret = Active, newSecret()
	if err := h.insert(ctx, w); err != nil {
		return "", err
	}
	return showSecret(w.secret), nil
}

// Change is what may be changed about a webhook; nil leaves it as it is.
type Change struct {
	URL, Description *string
	Types            *[]string
	Status           *Status // Active or Disabled
	Rotate           bool    // make a new secret; the old one signs too for a day
}

// Change changes a webhook. One that becomes active gets the events from now on, and what was pending at once. secret is
// the new one, "" without a rotation.
func (h *Webhooks) Change(ctx context.Context, organisation, id string, c Change) (w *Webhook, secret string, err error) {
	if c.URL != nil {
		err = h.checkURL(*c.URL)
	}
	if c.Types != nil {
		err = errOr(err, checkTypes(*c.Types))
	}
	if err != nil {
		return nil, "", err
	}
	here, err := h.events.Here(ctx)
	if err != nil {
		return nil, "", problem.Wrap("read the events", err)
	}
	fresh := newSecret()
	w, err = h.update(ctx, organisation, id, func(w *Webhook, now time.Time) {
		set(&w.URL, c.URL)
		set(&w.Description, c.Description)
		set(&w.Types, c.Types)
		if c.Status != nil && *c.Status != w.Status {
			if *c.Status == Active {
				w.place, w.placeAt, w.streak, w.nextAt, w.FailingSince = here, now, 0, now, nil
			}
			w.Status, w.Reason = *c.Status, ""
		}
		if c.Rotate {
			until := now.Add(oldSecret)
			w.old, w.oldUntil, w.secret = w.secret, &until, fresh
		}
	})
	if err != nil || !c.Rotate {
		return w, "", err
	}
	return w, showSecret(fresh), nil
}

func set[T any](to *T, v *T) {
	if v != nil {
		*to = *v
	}
}

func errOr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// owner is the organisation of a caller who may manage webhooks: their addresses often hold keys, so nobody else sees them.
func owner(ctx context.Context) (string, error) {
	p, err := account.Require(ctx, account.Owner)
	return p.Organisation, err
}
