package eventlog_test

import (
	"testing"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/eventlog/logtest"
)

func TestJetStreamKeepsTheContract(t *testing.T) {
	logtest.Run(t, eventlog.OpenForContract)
}

func TestReadingWithoutConsumersKeepsTheContract(t *testing.T) {
	logtest.Run(t, eventlog.OpenWithoutConsumersForContract)
}
