//go:build race

package failover

import "time"

// day is cut to a quarter where the race detector makes a server on two cores
// ten times as slow: six renewals of each node are as good at finding races.
const day = 6 * time.Hour
