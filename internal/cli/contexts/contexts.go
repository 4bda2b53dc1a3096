// Package contexts keeps, by names that people choose, how to reach their fleets:
// the values of connection flags in one file each below the user's configuration
// folder, and which of them is selected.
//
// They name the files that secrets are in and hold none themselves, except for a
// URL with a password in it; only their owner may read them. A context is read
// again by each command, so there is nothing to restart after a change. Where there
// is no home, as for many a service, there are no contexts.
package contexts

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Context is a set of connection flags; empty fields were not given.
type Context struct {
	Name string `json:"-"`
	// NATS is the URL of the server, NATSContext a context of the nats command.
	NATS        string `json:"nats,omitempty"`
	NATSContext string `json:"nats_context,omitempty"`
	Creds       string `json:"creds,omitempty"`
	// Identity is a folder, in whose place the three files may be named.
	Identity string `json:"identity,omitempty"`
	TLSCert  string `json:"tlscert,omitempty"`
	TLSKey   string `json:"tlskey,omitempty"`
	TLSCA    string `json:"tlsca,omitempty"`
	Prefix   string `json:"prefix,omitempty"`
}

// ErrNone means that there is no context of a name.
var ErrNone = errors.New("no such context")

const selectedFile = "context.txt"

// Dir is where contexts are kept.
func Dir() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("find the folder of contexts: %w", err)
	}
	return filepath.Join(dir, "fleetfold"), nil
}

// CheckName says whether a name may be one of a context.
func CheckName(name string) error {
	ok := name != "" && len(name) <= 64 && name[0] != '.' && name[0] != '-'
	for _, c := range name {
		ok = ok && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("._-", c))
	}
	if !ok {
		return fmt.Errorf("%q is no name of a context: at most 64 of letters, digits, . _ and -, beginning with a letter, a digit or _", name)
	}
	return nil
}

func file(name string) (string, error) {
	dir, err := Dir()
	return filepath.Join(dir, "context", name+".json"), err
}

// Load reads a context; ErrNone where there is none of that name.
func Load(name string) (Context, error) {
	if CheckName(name) != nil {
		return Context{}, ErrNone
	}
	path, err := file(name)
	if err != nil {
		return Context{}, ErrNone // without a home there are none
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Context{}, ErrNone
	}
	if err != nil {
		return Context{}, fmt.Errorf("read context %s: %w", name, err)
	}
	c := Context{Name: name}
	if err := json.Unmarshal(text, &c); err != nil {
		return Context{}, fmt.Errorf("read context %s: %s: %w", name, path, err)
	}
	return c, nil
}

// Save writes a context, in the place of one of the same name.
func Save(c Context) error {
	if err := CheckName(c.Name); err != nil {
		return err
	}
	path, err := file(c.Name)
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	if err := replace(path, append(text, '\n')); err != nil {
		return fmt.Errorf("save context %s: %w", c.Name, err)
	}
	return nil
}

// Remove deletes a context, and selects none if it was the one selected.
func Remove(name string) error {
	if _, err := Load(name); errors.Is(err, ErrNone) {
		return ErrNone
	}
	path, err := file(name)
	if err != nil {
		return err
	}
	if selected, err := Selected(); err == nil && selected == name {
		if err := Select(""); err != nil {
			return err
		}
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("remove context %s: %w", name, err)
	}
	return nil
}

// List returns all that can be read, by name.
func List() (list []Context, err error) {
	dir, err := Dir()
	if err != nil {
		return nil, err
	}
	files, err := os.ReadDir(filepath.Join(dir, "context"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list contexts: %w", err)
	}
	for _, f := range files {
		name, ok := strings.CutSuffix(f.Name(), ".json")
		if !ok {
			continue
		}
		c, err := Load(name)
		if errors.Is(err, ErrNone) {
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b Context) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// Selected is the name of the one that was chosen last; empty for none.
func Selected() (string, error) {
	dir, err := Dir()
	if err != nil {
		return "", nil
	}
	text, err := os.ReadFile(filepath.Join(dir, selectedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read which context is selected: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// Select chooses a context that must be there; the empty name chooses none.
func Select(name string) error {
	dir, err := Dir()
	if err != nil {
		return err
	}
	path := filepath.Join(dir, selectedFile)
	if name == "" {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("select no context: %w", err)
		}
		return nil
	}
	if _, err := Load(name); err != nil {
		return err
	}
	if err := replace(path, []byte(name+"\n")); err != nil {
		return fmt.Errorf("select context %s: %w", name, err)
	}
	return nil
}

// replace writes a file whole or not at all.
func replace(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	fresh := path + "~"
	if err := os.WriteFile(fresh, text, 0o600); err != nil {
		return err
	}
	return os.Rename(fresh, path)
}
