package receiver

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"
)

// The file of a memory: a line that names the format and the start of the machine,
// then entries of one length. Entries are only appended; the file is written anew
// when most of it is of no use any more.
const (
	journalMagic = "fleetfold posts seen 1 "
	entryBytes   = 1 + 16 + 16 + 8 + 4
	// journalSlack is how many entries too many are no reason to write it anew.
	journalSlack = 4096
)

// Kinds of an entry.
const (
	entrySeen   byte = 's'
	entryFloor  byte = 'f' // second is the sender's floor
	entryClosed byte = 'c' // all is on the disk
)

type entry struct {
	kind       byte
	source, id digest
	second     int64
}

func (e entry) append(to []byte) []byte {
	start := len(to)
	to = append(to, e.kind)
	to = append(to, e.source[:]...)
	to = append(to, e.id[:]...)
	to = binary.BigEndian.AppendUint64(to, uint64(e.second))
	return binary.BigEndian.AppendUint32(to, crc32.ChecksumIEEE(to[start:]))
}

func readEntry(b []byte) (e entry, ok bool) {
	body := b[:entryBytes-4]
	e.kind = body[0]
	copy(e.source[:], body[1:])
	copy(e.id[:], body[17:])
	e.second = int64(binary.BigEndian.Uint64(body[33:]))
	return e, crc32.ChecksumIEEE(body) == binary.BigEndian.Uint32(b[len(body):]) && strings.IndexByte("sfc", e.kind) >= 0
}

type journal struct {
	path    string
	file    *os.File
	entries int
}

// bootID is another one after each start of the machine; empty where that is not
// known.
func bootID() string {
	text, _ := os.ReadFile("/proc/sys/kernel/random/boot_id") // other systems lack it
	return string(bytes.TrimSpace(text))
}

// open reads the file, if there is one, and goes on in a new one. whole is false if
// something that was seen may be missing: the end of a file that was not closed is
// lost when the machine stops, though not when the process does.
func (m *memory) open(path string, now time.Time) (whole bool, err error) {
	whole, err = m.load(path)
	if err != nil {
		return false, fmt.Errorf("read %s: %w", path, err)
	}
	m.sweep(now)
	m.file = &journal{path: path}
	if err := m.rewrite(); err != nil {
		return false, fmt.Errorf("write %s: %w", path, err)
	}
	return whole, nil
}

func (m *memory) load(path string) (whole bool, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil // nothing was ever seen
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	r := bufio.NewReader(f)
	head, err := r.ReadString('\n')
	if err != nil && err != io.EOF {
		return false, err
	}
	boot, ours := strings.CutPrefix(strings.TrimSuffix(head, "\n"), journalMagic)
	if !ours {
		return false, errors.New("it is no record of posts: move it away, and start again")
	}
	closed, complete, err := m.loadEntries(r)
	return complete && (closed || boot != "" && boot == bootID()), err
}

// loadEntries takes entries up to the first that is damaged, which hides the rest.
func (m *memory) loadEntries(r io.Reader) (closed, complete bool, err error) {
	b := make([]byte, entryBytes)
	for {
		switch _, err := io.ReadFull(r, b); {
		case err == io.EOF:
			return closed, true, nil
		case errors.Is(err, io.ErrUnexpectedEOF):
			return false, false, nil
		case err != nil:
			return false, false, err
		}
		e, ok := readEntry(b)
		if !ok {
			return false, false, nil
		}
		if closed = e.kind == entryClosed; !closed {
			m.take(e)
		}
	}
}

// take puts an entry of the file into the memory, without regard to its limit: the
// next post makes room.
func (m *memory) take(e entry) {
	s := m.senders[e.source]
	if s == nil {
		s = newSent()
		m.senders[e.source] = s
	}
	if e.kind == entryFloor {
		s.floor = max(s.floor, e.second)
		for second := range s.seconds {
			if second <= s.floor {
				m.drop(s, second)
			}
		}
	} else if _, twice := s.ids[e.id]; !twice {
		m.add(s, e.id, e.second)
	}
}

// keep appends the entry; it says false if that failed. Without a file there is
// nothing to fail.
func (m *memory) keep(e entry) bool {
	if m.file == nil {
		return true
	}
	if m.file.file == nil || m.file.entries > 2*m.total+journalSlack {
		if m.rewrite() != nil {
			return false
		}
	}
	if _, err := m.file.file.Write(e.append(nil)); err != nil {
		// A torn entry would hide all after it.
		m.file.file.Close()
		m.file.file = nil
		return false
	}
	m.file.entries++
	return true
}

// rewrite writes the file anew, beside the old one until it is complete.
func (m *memory) rewrite() error {
	j := m.file
	next := j.path + ".next"
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	entries, err := m.writeTo(f)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(next, j.path)
	}
	if err != nil {
		return errors.Join(err, f.Close(), os.Remove(next))
	}
	if j.file != nil {
		j.file.Close()
	}
	j.file, j.entries = f, entries
	return nil
}

func (m *memory) writeTo(f *os.File) (entries int, err error) {
	w := bufio.NewWriter(f)
	fmt.Fprintf(w, "%s%s\n", journalMagic, bootID())
	var b []byte
	put := func(e entry) {
		b = e.append(b[:0])
		_, _ = w.Write(b) // Flush returns the first error
		entries++
	}
	for source, s := range m.senders {
		if s.floor != 0 {
			put(entry{kind: entryFloor, source: source, second: s.floor})
		}
		for id, second := range s.ids {
			put(entry{kind: entrySeen, source: source, id: id, second: second})
		}
	}
	return entries, w.Flush()
}

func (m *memory) close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.file == nil || m.file.file == nil {
		return nil
	}
	f := m.file.file
	m.file.file = nil
	_, err := f.Write(entry{kind: entryClosed}.append(nil))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("close %s: %w", m.file.path, err)
	}
	return nil
}
