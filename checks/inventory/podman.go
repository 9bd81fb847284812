package inventory

import (
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
)

// asDocker brings what Podman says of a container into Docker's words: Podman
// calls its default runtime "oci", and limits as the kernel does.
func asDocker(i *container.InspectResponse) {
	if i.HostConfig == nil {
		return
	}
	if i.HostConfig.Runtime == "oci" {
		i.HostConfig.Runtime = ""
	}
	for _, u := range i.HostConfig.Ulimits {
		if u != nil {
			u.Name = strings.ToLower(strings.TrimPrefix(u.Name, "RLIMIT_"))
		}
	}
}

// podmanNetwork is the default network of Podman. Its list calls it "bridge",
// as Docker's is called, its containers and its own command do not.
const (
	podmanNetwork   = "podman"
	podmanNetworkID = "2f259bab93aaaaa2542ba43ef33eb990d0999ee1b9924b557b7be53c0b7a1bb9" // of every Podman
)

// asInspected gives a listed network the name that containers know it by.
func asInspected(n network.Network) network.Network {
	if n.ID == podmanNetworkID {
		n.Name = podmanNetwork
	}
	return n
}
