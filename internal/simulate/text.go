package simulate

import (
	"bytes"
	"fmt"
	"io"
	"time"
)

// Line is the summary on one line, for a terminal.
func (s Summary) Line() string {
	return fmt.Sprintf("%.0fs  %.0f heartbeats/s, %d failed, %d late  %d died, %d returned  log: %d appeared, %d proved, %d lost (%d falsely)",
		s.Seconds, s.PerSecond, s.Failed, s.Late, s.Died, s.Returned, s.Appeared, s.Proved, s.Lost, s.FalseLosses)
}

// Write writes the summary for people.
func (s Summary) Write(w io.Writer) error {
	_, err := fmt.Fprintf(w, `nodes        %d for %.1f s, seed %d, a heartbeat each %gs with a lease of %gs
heartbeats   %d sent, %d acknowledged (%.0f a second), %d failed, %d late
schedule     %d died, %d returned
log          %d appeared, %d lost, %d left, %d proved, %d actions
false losses %d
commands     %d answered, %d refused, %d credentials renewed
`, s.Nodes, s.Seconds, s.Seed, s.IntervalSeconds, s.LeaseSeconds, s.Sent, s.Acknowledged, s.PerSecond, s.Failed, s.Late,
		s.Died, s.Returned, s.Appeared, s.Lost, s.Left, s.Proved, s.Actions, s.FalseLosses, s.Commands, s.Refused, s.Renewed)
	return err
}

// InventoryText is what WriteInventory writes.
func (c Config) InventoryText(k Inventory) ([]byte, error) {
	var b bytes.Buffer
	err := c.WriteInventory(&b, k)
	return b.Bytes(), err
}

// AskedLease is the lease that nodes ask for where the fleet sets no slower pace.
func (c Config) AskedLease() time.Duration { return c.withDefaults().Lease }
