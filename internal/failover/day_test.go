//go:build !race

package failover

import "time"

// day is a whole one; see day_race_test.go.
const day = 24 * time.Hour
