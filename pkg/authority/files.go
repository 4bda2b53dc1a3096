package authority

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"github.com/fleetfold/fleetfold/pkg/identity"
)

// write replaces a file of the publisher's folder, for others to read. Whoever
// reads sees the old text or the new one, whole.
func (p *Publisher) write(name string, text []byte) error {
	if p.Dir == "" || len(text) == 0 {
		return nil
	}
	if err := os.MkdirAll(p.Dir, 0o755); err != nil {
		return fmt.Errorf("make trust folder: %w", err)
	}
	path := filepath.Join(p.Dir, name)
	if have, err := os.ReadFile(path); err == nil && bytes.Equal(have, text) {
		return nil
	}
	if err := identity.WriteFileAtomic(path, text, 0o644); err != nil {
		return fmt.Errorf("write trust file: %w", err)
	}
	return nil
}
