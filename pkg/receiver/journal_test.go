package receiver

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// again is another receiver of the same world, with the same file.
func (w *world) again(file string) error {
	w.Helper()
	r, err := New(Config{Source: w.source, Audiences: []string{here}, MemoryFile: file, Now: func() time.Time { return w.now }})
	if err == nil {
		w.Receiver = r
	}
	return err
}

func remembering(t *testing.T, remember int) (w *world, file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "posts.seen")
	return newWorld(t, func(c *Config) { c.MemoryFile, c.Remember = file, remember }), file
}

func TestAReceiverThatRestartsKnowsWhatCame(t *testing.T) {
	for name, end := range map[string]func(*world) error{
		"closed": func(w *world) error { return w.Close() },
		"killed": func(*world) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			w, file := remembering(t, 0)
			c := w.holder("n1")
			p := w.signed(c, "1")
			w.wants("at first", p, true, "", "")
			if err := end(w); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := w.again(file); err != nil {
					t.Fatal(err)
				}
				w.wants("again", p, false, "", Replayed)
			}
			w.wants("another", w.signed(c, "2"), true, "", "")
			if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("the file is %v, %v", info, err)
			}
			w.now = w.now.Add(DefaultMaxAge + 2*time.Second)
			if err := w.again(file); err != nil || w.seen.total != 0 {
				t.Errorf("%d posts are known that are too old to come again, %v", w.seen.total, err)
			}
		})
	}
}

// What was forgotten for lack of room is not taken after a restart either.
func TestWhatWasForgottenStaysForgotten(t *testing.T) {
	w, file := remembering(t, 2)
	c := w.holder("n1")
	first := w.signed(c, "1")
	w.wants("at first", first, true, "", "")
	for _, id := range []string{"2", "3"} {
		w.now = w.now.Add(time.Second)
		w.wants(id, w.signed(c, id), true, "", "")
	}
	w.wants("forgotten", first, false, "", Stale)
	if err := w.again(file); err != nil {
		t.Fatal(err)
	}
	w.wants("after a restart", first, false, "", Stale)
	w.now = w.now.Add(time.Second)
	w.wants("a new one", w.signed(c, "4"), true, "", "")
}

// A file that may lack something puts posts off, and takes none twice.
func TestAReceiverThatLostItsMemoryPutsPostsOff(t *testing.T) {
	for name, harm := range map[string]func([]byte) []byte{
		"cut short":                  func(b []byte) []byte { return b[:len(b)-3] },
		"changed":                    func(b []byte) []byte { b[len(b)-entryBytes-2] ^= 1; return b },
		"of a machine that stopped":  func(b []byte) []byte { return otherBoot(b[:len(b)-entryBytes]) },
		"of a system without a name": func(b []byte) []byte { return bytes.Replace(b[:len(b)-entryBytes], []byte(bootID()), nil, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			w, file := remembering(t, 0)
			c := w.holder("n1")
			p := w.signed(c, "1")
			w.wants("at first", p, true, "", "")
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, harm(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := w.again(file); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Check(p); err == nil {
				t.Error("a post is taken twice")
			}
			w.wants("another of the same time", w.signed(c, "2"), false, "", MemoryLost)
			w.now = w.now.Add(DefaultMaxSkew + time.Second)
			w.wants("one of later", w.signed(c, "3"), true, "", "")
		})
	}
	w, file := remembering(t, 0)
	if err := os.WriteFile(file, []byte("something else"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := w.again(file); err == nil || !bytes.Contains([]byte(err.Error()), []byte(file)) {
		t.Errorf("a file of something else: %v", err)
	}
	if text, _ := os.ReadFile(file); string(text) != "something else" {
		t.Error("it was written over")
	}
}

func otherBoot(b []byte) []byte {
	name := bytes.Index(b, []byte(journalMagic)) + len(journalMagic)
	b[name] ^= 1
	return b
}

// A disk that is full lets nothing through that could not be kept.
func TestWhatCannotBeKeptIsNotTaken(t *testing.T) {
	w, file := remembering(t, 0)
	c := w.holder("n1")
	if err := w.Receiver.seen.file.file.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(file+".next", 0o700); err != nil {
		t.Fatal(err)
	}
	w.wants("while it cannot be kept", w.signed(c, "1"), false, "", MemoryLost)
	if err := os.Remove(file + ".next"); err != nil {
		t.Fatal(err)
	}
	p := w.signed(c, "2")
	w.wants("when it can", p, true, "", "")
	if err := w.again(file); err != nil {
		t.Fatal(err)
	}
	w.wants("after a restart", p, false, "", Replayed)
}

func TestTheFileIsBounded(t *testing.T) {
	w, file := remembering(t, 10)
	for n := range 3 * journalSlack {
		at := w.now.Add(time.Duration(n) * time.Second)
		if reason := w.seen.note("n1", at.String(), at, at); reason != "" {
			t.Fatal(reason)
		}
	}
	if info, err := os.Stat(file); err != nil || info.Size() > (journalSlack+100)*entryBytes {
		t.Errorf("the file is %v, %v", info, err)
	}
}
