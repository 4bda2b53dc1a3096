package eventlog

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/natsd"
)

// tokenRecords are all there are, as text.
func tokenRecords(t *testing.T, b *Bus) map[string]string {
	t.Helper()
	all, err := b.Tokens(within(t))
	if err != nil {
		t.Fatal(err)
	}
	text := map[string]string{}
	for id, record := range all {
		text[id] = string(record)
	}
	return text
}

func TestTokenRecords(t *testing.T) {
	b := testBus(t, testServer(t, t.TempDir(), 0), Options{})
	if got := tokenRecords(t, b); len(got) != 0 {
		t.Errorf("before there is a bucket: %v", got)
	}
	if _, _, err := b.Token(within(t), "one"); !errors.Is(err, ErrNoToken) {
		t.Errorf("before there is a bucket: %v", err)
	}
	for range 2 {
		if err := b.EnsureTokens(within(t)); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"one", "two"} {
		if err := b.CreateToken(within(t), id, []byte("made"), time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.CreateToken(within(t), "one", []byte("again"), time.Hour); !errors.Is(err, ErrConflict) {
		t.Errorf("a second record of one id: %v", err)
	}
	record, revision, err := b.Token(within(t), "one")
	if err != nil || string(record) != "made" {
		t.Fatalf("read %q, %v", record, err)
	}
	if err := b.UpdateToken(within(t), "one", []byte("spent"), revision); err != nil {
		t.Fatal(err)
	}
	if err := b.UpdateToken(within(t), "one", []byte("twice"), revision); !errors.Is(err, ErrConflict) {
		t.Errorf("spent twice: %v", err)
	}
	if got := tokenRecords(t, b); len(got) != 2 || got["one"] != "spent" || got["two"] != "made" {
		t.Errorf("there are %v", got)
	}
	if err := b.DeleteToken(within(t), "one"); err != nil {
		t.Fatal(err)
	}
	if err := b.DeleteToken(within(t), "one"); !errors.Is(err, ErrNoToken) {
		t.Errorf("deleted twice: %v", err)
	}
	if err := b.UpdateToken(within(t), "one", []byte("back"), revision+1); !errors.Is(err, ErrConflict) {
		t.Errorf("spent when it was gone: %v", err)
	}
	if got := tokenRecords(t, b); len(got) != 1 || got["two"] != "made" {
		t.Errorf("there are %v", got)
	}
}

// Of many who change one revision, one does.
func TestOneOfManySpendsARecord(t *testing.T) {
	b := testBus(t, testServer(t, t.TempDir(), 0), Options{})
	if err := b.EnsureTokens(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := b.CreateToken(within(t), "one", []byte("made"), time.Hour); err != nil {
		t.Fatal(err)
	}
	_, revision, err := b.Token(within(t), "one")
	if err != nil {
		t.Fatal(err)
	}
	const many = 20
	results := make([]error, many)
	var all sync.WaitGroup
	for i := range many {
		all.Go(func() { results[i] = b.UpdateToken(within(t), "one", []byte{byte('a' + i)}, revision) })
	}
	all.Wait()
	won := 0
	for _, err := range results {
		if err == nil {
			won++
		} else if !errors.Is(err, ErrConflict) {
			t.Errorf("got %v", err)
		}
	}
	if won != 1 {
		t.Errorf("%d of %d won", won, many)
	}
}

// The server forgets what nobody has spent, and keeps what somebody has.
func TestUnspentRecordsEnd(t *testing.T) {
	inFakeTime(t, func(t *testing.T, b *Bus) {
		if err := b.EnsureTokens(within(t)); err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{"spent", "unspent"} {
			if err := b.CreateToken(within(t), id, []byte("made"), 10*time.Second); err != nil {
				t.Fatal(err)
			}
		}
		_, revision, err := b.Token(within(t), "spent")
		if err != nil {
			t.Fatal(err)
		}
		if err := b.UpdateToken(within(t), "spent", []byte("key"), revision); err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct {
			wait time.Duration
			want int
		}{{9 * time.Second, 2}, {5 * time.Second, 1}, {24 * time.Hour, 1}} {
			time.Sleep(step.wait)
			if got := tokenRecords(t, b); len(got) != step.want || got["spent"] != "key" {
				t.Errorf("after %s more there are %v", step.wait, got)
			}
		}
	})
}

func TestTokensOutliveTheServer(t *testing.T) {
	dir := t.TempDir()
	first, err := natsd.Start(natsd.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	b := testBus(t, first, Options{})
	if err := b.EnsureTokens(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := b.CreateToken(within(t), "one", []byte("made"), time.Hour); err != nil {
		t.Fatal(err)
	}
	b.Close()
	first.Shutdown()
	if got := tokenRecords(t, testBus(t, testServer(t, dir, 0), Options{})); got["one"] != "made" {
		t.Errorf("after a restart there are %v", got)
	}
}
