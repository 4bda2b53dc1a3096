package receiver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
)

// ReasonHeader of an answer says why a post was refused.
const ReasonHeader = "Fleetfold-Reason"

// Answer is the JSON body of a refusal.
type Answer struct {
	Reason fleet.Reason `json:"reason"`
	Detail string       `json:"detail"`
}

type contextKey struct{}

// taken is what the context of a request carries.
type taken struct {
	post   *Post
	sender Sender
}

// SenderOf is who sent the post of a request that Handler let through.
func SenderOf(ctx context.Context) (Sender, bool) {
	t, ok := ctx.Value(contextKey{}).(taken)
	return t.sender, ok
}

// PostOf is the post itself. It must not be changed.
func PostOf(ctx context.Context) (*Post, bool) {
	t, ok := ctx.Value(contextKey{}).(taken)
	return t.post, ok
}

// Handler lets posts through to next that are to be taken, and answers the others
// itself. next finds the sender with SenderOf and the post with PostOf. Of a verified
// post in binary mode next sees no header of an extension that nobody signed; the body
// can be read once more as it came, so that in structured mode PostOf is the one to ask.
func (r *Receiver) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		// The posture that holds is the one at the arrival, not after a slow body.
		trust := r.cfg.Source.Trust()
		post, err := r.readRequest(w, req)
		if err != nil {
			r.answer(w, r.refused("", err))
			return
		}
		sender, err := r.decide(post, trust, r.cfg.Audiences)
		if err != nil {
			r.answer(w, asRefusal(err))
			return
		}
		next.ServeHTTP(w, through(req, post, sender))
	})
}

func (r *Receiver) readRequest(w http.ResponseWriter, req *http.Request) (*Post, error) {
	m, err := modeOf(req.Header)
	switch {
	case err != nil:
		return nil, err
	case m == noEvent:
		return nil, refuse(NoEvent, "the request is no CloudEvent: it has neither a header ce-specversion nor content type application/cloudevents+json")
	case req.ContentLength > r.cfg.MaxBody:
		return nil, r.tooLarge()
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, r.cfg.MaxBody))
	var over *http.MaxBytesError
	if errors.As(err, &over) {
		return nil, r.tooLarge()
	}
	if err != nil {
		return nil, refuse(BadEvent, "the body could not be read")
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	if m == structuredMode {
		post, _, err := readStructured(body)
		return post, err
	}
	return readHeaders(req.Header, body, true)
}

func (r *Receiver) tooLarge() *Refusal {
	return refuse(TooLarge, fmt.Sprintf("the body has more than %d bytes", r.cfg.MaxBody))
}

// through is the request as next sees it: without the headers of extensions that
// nobody signed, when others were.
func through(req *http.Request, post *Post, sender Sender) *http.Request {
	req = req.WithContext(context.WithValue(req.Context(), contextKey{}, taken{post, sender}))
	if !sender.Verified {
		return req
	}
	req.Header = req.Header.Clone()
	for name := range req.Header {
		attribute, ok := strings.CutPrefix(strings.ToLower(name), "ce-")
		if !ok || attribute == "specversion" || attribute == "time" || attribute == identity.ProofAttribute || post.field(attribute) != nil {
			continue
		}
		if _, signed := post.Extensions[attribute]; !signed {
			delete(req.Header, name)
		}
	}
	return req
}

func (r *Receiver) answer(w http.ResponseWriter, refusal *Refusal) {
	status := statusOf(refusal.Reason)
	switch status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", identity.ProofAttribute)
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "1")
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set(ReasonHeader, string(refusal.Reason))
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(Answer{Reason: refusal.Reason, Detail: refusal.Detail}) // the sender may be gone
}
