package receiver

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
)

// What is read, signed and written again is read as the same, and verifies.
func FuzzStructured(f *testing.F) {
	f.Add([]byte(`{"specversion":"1.0","id":"1","type":"t","source":"s","data":{"a":[1,"<é>"]},"x":true}`))
	f.Add([]byte(`{"specversion":"1.0","id":"1","type":"t","source":"s","data_base64":"8J+koQ==","subject":"€"}`))
	f.Add([]byte(`{"specversion":"1.0","id":"1","type":"t","source":"s","datacontenttype":"text/plain","data":"a\nb","time":"2026-01-02T03:04:05.6+02:00"}`))
	f.Add([]byte(`{"specversion":"1.0","id":"1","id":"2"}`))
	w := newWorld(f, nil)
	c := w.holder("n1")
	f.Fuzz(func(t *testing.T, body []byte) {
		p, all, err := readStructured(body)
		if err != nil {
			if !KnownReason(fleet.ReasonOf(err)) {
				t.Fatalf("refused without a reason: %v", err)
			}
			return
		}
		data := bytes.Clone(p.Data)
		p.Proof = nil
		p.Time = w.now
		if Sign(p, c, here, w.now) != nil {
			return // an attribute too long for a proof
		}
		text := p.writeStructured(all)
		if !json.Valid(text) {
			t.Fatalf("written as %s", text)
		}
		again, _, err := readStructured(text)
		if err != nil {
			return // the proof's attributes went over a limit
		}
		if !bytes.Equal(again.Data, data) || again.ID != p.ID || again.Subject != p.Subject || again.Source != c.ID {
			t.Fatalf("%s is read as %+v", text, again)
		}
		if _, err := (&Receiver{cfg: w.Receiver.cfg, seen: newMemory(10, time.Minute), lines: w.lines}).Check(again); err != nil {
			t.Fatalf("%s is refused: %v", text, err)
		}
	})
}

// Any header and body is answered, and nothing unsigned gets through.
func FuzzHandler(f *testing.F) {
	w := newWorld(f, nil)
	p := w.signed(w.holder("n1"), "1")
	proof := base64.StdEncoding.EncodeToString(p.Proof)
	f.Add("application/json", "1.0", "1", p.Source, proof, p.Extensions[ChainAttribute], here, []byte("{}"))
	f.Add("application/cloudevents+json", "", "", "", "", "", "", p.writeStructured(nil))
	f.Add("application/cloudevents-batch+json", "1.0", "%", "\"a", "=", "-", "", []byte(nil))
	f.Fuzz(func(t *testing.T, content, version, id, source, proof, chain, audience string, body []byte) {
		req := httptest.NewRequest(http.MethodPost, here, bytes.NewReader(body))
		for name, value := range map[string]string{
			"Content-Type": content, "Ce-Specversion": version, "Ce-Id": id, "Ce-Type": "t", "Ce-Source": source,
			"Ce-" + identity.ProofAttribute: proof, "Ce-" + ChainAttribute: chain, "Ce-" + AudienceAttribute: audience,
		} {
			if value != "" {
				req.Header[http.CanonicalHeaderKey(name)] = []string{value}
			}
		}
		answer := httptest.NewRecorder()
		w.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if s, ok := SenderOf(r.Context()); !ok || !s.Verified || s.Node != "n1" {
				t.Errorf("got through: %+v", s)
			}
		})).ServeHTTP(answer, req)
		reason := fleet.Reason(answer.Header().Get(ReasonHeader))
		if answer.Code != http.StatusOK && (!KnownReason(reason) || answer.Code != statusOf(reason)) {
			t.Errorf("answered %d %q", answer.Code, reason)
		}
	})
}
