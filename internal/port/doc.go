// Package port hands tests ports for servers that are to be started, killed and
// started again on them.
//
// A port that was free a moment ago may be taken by anybody: by another test, or
// as the near end of a connection. One from Hold is kept by a socket that is
// bound to it and never listens. The system gives such a port to nobody who asks
// for any, and on Linux it lets a server bind it all the same. Where it does not
// the port is only remembered to have been free.
package port
