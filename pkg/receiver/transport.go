package receiver

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Transport signs the CloudEvents among the requests that pass through it, in the
// moment they are sent, and hands all to Base. It sets the source of what it signs
// to the SPIFFE ID of the credential, and the time if there is none.
//
// A redirect passes through it as another request, and is signed for where it
// leads. Whoever does not want to be led on sets http.Client.CheckRedirect.
type Transport struct {
	// Base sends; nil is http.DefaultTransport.
	Base http.RoundTripper
	// Credential is what to sign with now; nil: nothing, the post goes unsigned.
	// done is called when the answer has come, or will not; it may be nil. Whoever
	// is about to claim that it signs can wait for the unsigned that way. After an
	// error nothing is sent.
	Credential func() (c *Credential, done func(), err error)
	// Audience names the receiver of a request; nil is Audience of its URL.
	Audience func(*http.Request) string
	// MaxBody bounds a post's body in bytes; 0 is MaxBodyBytes.
	MaxBody int64
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

func (t *Transport) base() http.RoundTripper {
	if t.Base == nil {
		return http.DefaultTransport
	}
	return t.Base
}

// CloseIdleConnections does so at Base, for http.Client.
func (t *Transport) CloseIdleConnections() {
	if closer, ok := t.base().(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	base := t.base()
	m, err := modeOf(req.Header)
	if err != nil || m == noEvent {
		return base.RoundTrip(req) // what is no event is not ours to judge
	}
	body, err := t.body(req)
	if err != nil {
		return nil, fmt.Errorf("read post: %w", err)
	}
	c, done, err := t.Credential()
	if err != nil {
		return nil, fmt.Errorf("get credential for post: %w", err)
	}
	if done != nil {
		defer done()
	}
	out := req.Clone(req.Context())
	if c != nil {
		if body, err = t.sign(out, m, body, c); err != nil {
			return nil, err
		}
	}
	// net/http sends a POST again only when nothing of it was written, as to a
	// connection that was closed meanwhile: so it is no replay.
	out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	out.Body, _ = out.GetBody()
	out.ContentLength = int64(len(body))
	return base.RoundTrip(out)
}

// body reads and closes the request's body, as a RoundTripper must.
func (t *Transport) body(req *http.Request) ([]byte, error) {
	if req.Body == nil {
		return nil, nil
	}
	defer req.Body.Close()
	limit := t.MaxBody
	if limit == 0 {
		limit = MaxBodyBytes
	}
	body, err := io.ReadAll(io.LimitReader(req.Body, limit+1))
	if err == nil && int64(len(body)) > limit {
		err = refuse(TooLarge, fmt.Sprintf("the body has more than %d bytes", limit))
	}
	return body, err
}

// sign puts the proof into the request and returns its body.
func (t *Transport) sign(out *http.Request, m mode, body []byte, c *Credential) ([]byte, error) {
	audience := Audience(out.URL)
	if t.Audience != nil {
		audience = t.Audience(out)
	}
	now := time.Now
	if t.Now != nil {
		now = t.Now
	}
	if m == structuredMode {
		p, all, err := readStructured(body)
		if err != nil {
			return nil, fmt.Errorf("read post: %w", err)
		}
		if err := Sign(p, c, audience, now()); err != nil {
			return nil, err
		}
		return p.writeStructured(all), nil
	}
	p, err := readHeaders(out.Header, body, true)
	if err != nil {
		return nil, fmt.Errorf("read post: %w", err)
	}
	if err := Sign(p, c, audience, now()); err != nil {
		return nil, err
	}
	p.headers(out.Header, func(name string) string { return http.CanonicalHeaderKey(strings.ToLower(name)) })
	return body, nil
}
