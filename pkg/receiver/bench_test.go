package receiver

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/identity"
)

func BenchmarkSign(b *testing.B) {
	w := newWorld(b, nil)
	c := w.holder("n1")
	for b.Loop() {
		w.signed(c, "1")
	}
}

// prepared are n posts whose ids differ.
func prepared(w *world, c *Credential, n int) []*Post {
	posts := make([]*Post, n)
	for i := range posts {
		posts[i] = w.signed(c, strconv.Itoa(i))
	}
	return posts
}

func benchmarkCheck(b *testing.B, w *world, c *Credential) {
	posts := prepared(w, c, 512)
	i := 0
	for b.Loop() {
		if i%len(posts) == 0 {
			w.seen = newMemory(DefaultRemember, DefaultMaxAge)
		}
		if _, err := w.Check(posts[i%len(posts)]); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

func BenchmarkCheck(b *testing.B) {
	w := newWorld(b, nil)
	benchmarkCheck(b, w, w.holder("n1"))
}

func BenchmarkCheckWithIntermediate(b *testing.B) {
	w := newWorld(b, nil)
	region, _, err := identity.OpenCA(identity.CAConfig{Dir: b.TempDir(), TrustDomain: domain, Region: "oslo", Parent: w.ca}, t0)
	if err != nil {
		b.Fatal(err)
	}
	benchmarkCheck(b, w, holder(b, region, domain, "n1", t0, time.Hour))
}

// A refusal must cost less than what is refused cost its sender.
func BenchmarkRefuseUnsigned(b *testing.B) {
	w := newWorld(b, nil)
	handler := w.Handler(http.NotFoundHandler())
	for b.Loop() {
		req := httptest.NewRequest(http.MethodPost, here, nil)
		for name, value := range headers() {
			req.Header[name] = []string{value}
		}
		handler.ServeHTTP(httptest.NewRecorder(), req)
	}
}

func BenchmarkRemember(b *testing.B) {
	m := newMemory(10_000, DefaultMaxAge)
	for i := 0; b.Loop(); i++ {
		at := t0.Add(time.Duration(i) * time.Millisecond)
		m.note("n"+strconv.Itoa(i%100), strconv.Itoa(i), at, at)
	}
}
