package receiver

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
)

// StatusHeader of the answer to a message has the status that HTTP would give.
const StatusHeader = "Fleetfold-Status"

// CheckMessage decides of a post that came on the bus, in either mode of the NATS
// binding. Such a post is meant for m.Subject, which the server vouches for, or for
// one of the receiver's audiences. Errors are a *Refusal.
func (r *Receiver) CheckMessage(m events.Message) (*Post, Sender, error) {
	trust := r.cfg.Source.Trust()
	post, err := r.readMessage(m)
	if err != nil {
		return nil, Sender{}, r.refused("", err)
	}
	names := append(r.cfg.Audiences[:len(r.cfg.Audiences):len(r.cfg.Audiences)], m.Subject)
	sender, err := r.decide(post, trust, names)
	if err != nil {
		return nil, Sender{}, err
	}
	return post, sender, nil
}

func (r *Receiver) readMessage(m events.Message) (*Post, error) {
	mode, err := modeOf(m.Header)
	switch {
	case err != nil:
		return nil, err
	case mode == noEvent:
		return nil, refuse(NoEvent, "the message is no CloudEvent: it has neither a header ce-specversion nor content type application/cloudevents+json")
	case int64(len(m.Data)) > r.cfg.MaxBody:
		return nil, r.tooLarge()
	case mode == structuredMode:
		post, _, err := readStructured(m.Data)
		return post, err
	}
	return readHeaders(m.Header, m.Data, false)
}

// AnswerMessage is the answer to a post on the bus: status 204 for one that was
// taken (nil), else status, reason and detail of the refusal.
func AnswerMessage(err error) events.Message {
	if err == nil {
		return events.Message{Header: map[string][]string{StatusHeader: {strconv.Itoa(http.StatusNoContent)}}}
	}
	refusal := asRefusal(err)
	body, _ := json.Marshal(Answer{Reason: refusal.Reason, Detail: refusal.Detail}) // two strings
	return events.Message{Data: body, Header: map[string][]string{
		StatusHeader: {strconv.Itoa(statusOf(refusal.Reason))}, ReasonHeader: {string(refusal.Reason)}, "Content-Type": {"application/json"},
	}}
}

// NewMessage makes p, signed by c unless that is nil, a message in binary mode to
// the receiver on subject, which (*eventlog.Bus).PostSubject names. p is changed.
func NewMessage(p *Post, c *Credential, subject string, now time.Time) (events.Message, error) {
	if err := p.whole(); err != nil && c == nil {
		return events.Message{}, err
	}
	m := events.Message{Subject: subject, Data: p.Data, Header: make(map[string][]string)}
	put := func(name, value string) {
		if value != "" {
			m.Header["ce-"+name] = []string{events.EncodeHeaderValue(value)}
		}
	}
	if c != nil {
		if err := Sign(p, c, subject, now); err != nil {
			return events.Message{}, err
		}
		p.headers(m.Header, func(name string) string { return name })
	} else if !p.Time.IsZero() {
		put("time", p.Time.UTC().Format(time.RFC3339Nano))
	}
	put("specversion", specVersion)
	for _, name := range []string{"id", "source", "type", "datacontenttype", "dataschema", "subject"} {
		put(name, *p.field(name))
	}
	for name, value := range p.Extensions {
		put(name, value)
	}
	return m, p.whole()
}
