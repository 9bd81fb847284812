package host

import "plimsoll/checks"

// ofDocker are the checks of what only Docker's engine has, or has by another
// version: Podman has no daemon that containers would stop with, offers all of
// its API to whoever reaches the socket, and numbers its releases by itself.
var ofDocker = map[string]bool{
	"buildkit-cve":                        true,
	"daemon-authorization-plugin-missing": true,
	"daemon-experimental-on":              true,
	"daemon-legacy-storage-driver":        true,
	"daemon-live-restore-off":             true,
	"daemon-userns-off":                   true,
	"engine-version-outdated":             true,
}

// podmanGap says what is not judged on Podman.
func (h *Host) podmanGap() checks.Message {
	return checks.Msg("%s is Podman %s: what only Docker's daemon has is not judged, nor are known vulnerabilities of Podman; "+
		"Podman does not say which paths of its containers are masked", h.Ref().Name, h.Version)
}
