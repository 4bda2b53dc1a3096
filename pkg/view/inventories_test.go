package view_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/fleetfold/fleetfold/pkg/inventory"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// shelf is a store of inventory texts that counts what is fetched.
type shelf struct {
	mu      sync.Mutex
	texts   map[string][]byte
	fetched map[string]int
}

func newShelf(texts ...string) (s *shelf, digests []string) {
	s = &shelf{texts: make(map[string][]byte), fetched: make(map[string]int)}
	for _, text := range texts {
		d := inventory.Digest([]byte(text))
		s.texts[d] = []byte(text)
		digests = append(digests, d)
	}
	return s, digests
}

var errAbsent = errors.New("no such text")

func (s *shelf) fetch(ctx context.Context, digest string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fetched[digest]++
	text, ok := s.texts[digest]
	if !ok {
		return nil, errAbsent
	}
	return text, ctx.Err()
}

func text(width int) string {
	return fmt.Sprintf("trust_domain: fleet.example\nquorum: {width: %d}\nenforcement: {require_sig: true}\n", width)
}

func TestInventoriesFetchOnce(t *testing.T) {
	s, d := newShelf(text(1))
	cache := view.NewInventories(s.fetch)
	first, err := cache.Get(t.Context(), d[0])
	if err != nil {
		t.Fatal(err)
	}
	again, err := cache.Get(t.Context(), d[0])
	if err != nil || again != first || s.fetched[d[0]] != 1 || !first.RequireSig {
		t.Errorf("got %+v, %v after %d fetches", again, err, s.fetched[d[0]])
	}
}

func TestInventoriesKeepTheLastFewUsed(t *testing.T) {
	s, d := newShelf(text(1), text(2), text(3), text(4), text(5))
	cache := view.NewInventories(s.fetch)
	for _, i := range []int{0, 1, 2, 3, 0, 4, 0, 1} { // 1 was used longest ago when 4 came
		if inv, err := cache.Get(t.Context(), d[i]); err != nil || inv.QuorumWidth != i+1 {
			t.Fatalf("inventory %d: got %+v, %v", i, inv, err)
		}
	}
	if s.fetched[d[0]] != 1 || s.fetched[d[1]] != 2 {
		t.Errorf("fetched %v", s.fetched)
	}
}

func TestInventoriesKeepOnlyFailuresThatStay(t *testing.T) {
	s, d := newShelf(text(1), "trust_domain: ''\n")
	good := s.texts[d[0]]
	cache := view.NewInventories(s.fetch)

	s.texts[d[0]] = []byte(text(2))
	if _, err := cache.Get(t.Context(), d[0]); err == nil || !strings.Contains(err.Error(), "has digest") {
		t.Errorf("another text: got %v", err)
	}
	delete(s.texts, d[0])
	if _, err := cache.Get(t.Context(), d[0]); !errors.Is(err, errAbsent) {
		t.Errorf("no text: got %v", err)
	}
	s.texts[d[0]] = good
	if inv, err := cache.Get(t.Context(), d[0]); err != nil || inv.QuorumWidth != 1 {
		t.Errorf("the text is back: got %+v, %v", inv, err)
	}

	var bad *inventory.Error
	for range 3 {
		if _, err := cache.Get(t.Context(), d[1]); !errors.As(err, &bad) {
			t.Errorf("a text that is no inventory: got %v", err)
		}
	}
	if n := s.fetched[d[1]]; n != 1 {
		t.Errorf("a text that is no inventory was read %d times", n)
	}
}

func TestInventoriesAreForEverybody(t *testing.T) {
	s, d := newShelf(text(1), text(2), text(3), text(4), text(5), text(6))
	cache := view.NewInventories(s.fetch)
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for n := range 100 {
				i := (worker + n) % len(d)
				if inv, err := cache.Get(t.Context(), d[i]); err != nil || inv.QuorumWidth != i+1 {
					t.Errorf("inventory %d: got %+v, %v", i, inv, err)
				}
			}
		})
	}
	all.Wait()
}
