package busdir

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fleetfold/fleetfold/pkg/busconf"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
)

// grantee is a line of the list: a key that a token was issued to.
type grantee struct {
	Role busconf.Role `json:"role"`
	Node fleet.NodeID `json:"node,omitempty"`
	Key  string       `json:"key"`
	// Ends is when the last token that was issued to the key does; Revoked, if
	// not zero, when the key was revoked.
	Ends    time.Time `json:"ends"`
	Revoked time.Time `json:"revoked,omitzero"`
}

func (h holder) name() string  { return string(h.role) + " " + string(h.node) }
func (g grantee) name() string { return string(g.Role) + " " + string(g.Node) }

// issued is the list of all keys that a token was issued to and that has not
// ended. A node's folder may be long gone when the node has to be shut out.
type issued struct {
	path    string
	now     time.Time
	mu      sync.Mutex
	all     map[string]*grantee // by key
	file    *os.File
	rewrite bool
}

func openIssued(o Options) (*issued, error) {
	l := &issued{path: issuedFile(o.Dir), now: o.Now, all: make(map[string]*grantee)}
	if err := l.read(); err != nil {
		return nil, err
	}
	for _, folder := range o.Revoke {
		if err := l.revokeFolder(o, folder); err != nil {
			return nil, err
		}
	}
	var err error
	l.file, err = os.OpenFile(l.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	return l, err
}

func (l *issued) read() error {
	text, err := os.ReadFile(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	number := 0
	for line := range bytes.Lines(text) {
		number++
		var g grantee
		if err := json.Unmarshal(line, &g); err != nil || g.Key == "" {
			if !bytes.HasSuffix(line, []byte("\n")) { // cut short, before its token was written
				return l.write()
			}
			return fmt.Errorf("read %s, line %d: it is not an entry of the list: restore it from a backup", l.path, number)
		}
		l.all[g.Key] = &g
	}
	return nil
}

// revokeFolder takes the folder as reports name it.
func (l *issued) revokeFolder(o Options, folder string) error {
	clean := filepath.ToSlash(filepath.Clean(folder))
	found := false
	for _, g := range l.all {
		path := Service(o.Dir, g.Role)
		if g.Role == busconf.Node {
			path = Node(o.Dir, g.Node)
		}
		if filepath.ToSlash(o.below(path)) == clean {
			found = true
			l.revoke(g)
		}
	}
	if !found {
		return fmt.Errorf("nothing was issued to %s: name a folder below %s, such as identities/planner or identities/nodes/ID", folder, o.Dir)
	}
	return nil
}

func (l *issued) revoke(g *grantee) {
	if g.Revoked.IsZero() {
		g.Revoked, l.rewrite = l.now.UTC().Truncate(time.Second), true
	}
}

// spent says that the holder cannot have the key: it was revoked, or is somebody
// else's, whose file came here by mistake.
func (l *issued) spent(key string, h holder) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.all[key]
	return g != nil && (!g.Revoked.IsZero() || g.name() != h.name())
}

// add writes a key down before its token is.
func (l *issued) add(h holder, key string, ends time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := &grantee{Role: h.role, Node: h.node, Key: key, Ends: ends.UTC().Truncate(time.Second)}
	line, err := json.Marshal(g)
	if err != nil {
		return fmt.Errorf("note what is issued: %w", err)
	}
	if _, err := l.file.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("note what is issued: %w", err)
	}
	l.all[key] = g
	return nil
}

// note takes in a key that is found on the disk and not on the list.
func (l *issued) note(h holder, key string, ends time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all[key] == nil {
		l.all[key] = &grantee{Role: h.role, Node: h.node, Key: key, Ends: ends.UTC()}
		l.rewrite = true
	}
}

// close revokes the keys of those who are not wanted, forgets what has ended,
// and brings the list to the disk.
func (l *issued) close(wanted func(name string) bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, g := range l.all {
		switch {
		case l.now.After(g.Ends):
			delete(l.all, key)
			l.rewrite = true
		case !wanted(g.name()):
			l.revoke(g)
		}
	}
	if err := errors.Join(l.file.Sync(), l.file.Close()); err != nil || !l.rewrite {
		return err
	}
	return l.write()
}

func (l *issued) write() error {
	list := make([]*grantee, 0, len(l.all))
	for _, g := range l.all {
		list = append(list, g)
	}
	slices.SortFunc(list, func(a, b *grantee) int {
		if c := strings.Compare(a.name(), b.name()); c != 0 {
			return c
		}
		return strings.Compare(a.Key, b.Key)
	})
	var text bytes.Buffer
	out := bufio.NewWriter(&text)
	encoder := json.NewEncoder(out)
	for _, g := range list {
		if err := encoder.Encode(g); err != nil {
			return err
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return identity.WriteFileAtomic(l.path, text.Bytes(), 0o600)
}

// revocations by role: keys that have not ended by themselves.
func (l *issued) revocations() map[busconf.Role]map[string]time.Time {
	all := make(map[busconf.Role]map[string]time.Time)
	for key, g := range l.all {
		if g.Revoked.IsZero() {
			continue
		}
		if all[g.Role] == nil {
			all[g.Role] = make(map[string]time.Time)
		}
		// Whatever was issued to the key, by whichever clock, it counts no more.
		all[g.Role][key] = g.Ends
	}
	return all
}
