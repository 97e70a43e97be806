variable "cloud" {
  description = "The cloud of clouds.yaml that is KVM@TACC."
  type        = string
  default     = "openstack"
}

variable "suffix" {
  description = "How every name ends, such as proj05. The same as in ../lasting."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?$", var.suffix))
    error_message = "The suffix becomes part of host names: use a-z, 0-9 and '-' (not at either end), at most 20 characters."
  }
}

variable "reservation" {
  description = "The id of the flavour reservation, which `testbed node lease` prints. It is the flavour of the node."
  type        = string

  validation {
    condition     = can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", var.reservation))
    error_message = "Give the id of a reservation (not of its lease): 36 characters, as `testbed node lease` prints it."
  }
}

variable "key" {
  description = "The name of your key pair at KVM@TACC."
  type        = string

  validation {
    condition     = length(trimspace(var.key)) > 0
    error_message = "Give the name of a key pair: `openstack keypair list` shows those of KVM@TACC. Without one nobody can log in."
  }
}

variable "gpu" {
  description = "Whether the reserved flavour has a GPU: chooses the image and what is installed."
  type        = bool
  default     = false
}

variable "image" {
  description = "Another image than the one that `gpu` chooses, such as CC-Ubuntu24.04-CUDA-VGPU for a part of an H100."
  type        = string
  default     = null
}

variable "network" {
  description = "The network of the node. It must have a router to the network of floating IPs."
  type        = string
  default     = "sharednet1"
}

variable "admin_cidr" {
  description = "From where administrators connect: ssh and admin_ports."
  type        = string

  validation {
    condition     = can(cidrnetmask(var.admin_cidr)) && !endswith(var.admin_cidr, "/0")
    error_message = "Give the IPv4 addresses of administrators, such as 203.0.113.7/32 (yours: `curl -4 https://ifconfig.me`). The whole internet (/0) is refused."
  }
}

variable "admin_ports" {
  description = "More TCP ports for administrators beside ssh. Better none: `ssh -L` reaches all that the node listens on."
  type        = set(number)
  default     = []

  validation {
    condition     = alltrue([for port in var.admin_ports : port >= 1 && port <= 65535 && floor(port) == port])
    error_message = "Give admin_ports as whole numbers from 1 to 65535."
  }
}

variable "agent_cidr" {
  description = "From where agents connect. Devices of CHI@Edge come from addresses that nobody knows before."
  type        = string
  default     = "0.0.0.0/0"

  validation {
    condition     = can(cidrnetmask(var.agent_cidr))
    error_message = "Give the IPv4 addresses of agents, such as 0.0.0.0/0 for everywhere: broker and aggregator check certificates and tokens."
  }
}

variable "fleet_host" {
  description = "The name under which agents reach the fleet. Without one it is the floating IP."
  type        = string
  default     = null

  validation {
    condition     = var.fleet_host == null || can(regex("^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$", var.fleet_host))
    error_message = "Give fleet_host as a name in the DNS (fleet.example.org) or an IPv4 address, without https:// and without a port."
  }
}

variable "repository" {
  description = "Where the node fetches this project by git, without a login."
  type        = string

  validation {
    condition     = can(regex("^https://[^@\\s]+$", var.repository))
    error_message = "Give repository as https://HOST/PATH without a login in it: it is kept in the state and on the node, in clear."
  }
}

variable "revision" {
  description = "The commit that the node runs. Its hash is the checksum of all that is fetched."
  type        = string

  validation {
    condition     = can(regex("^[0-9a-f]{40}$", var.revision))
    error_message = "Give revision as the 40 digits of a commit (`git rev-parse HEAD`), not as a branch or tag: those may move."
  }
}

variable "registry" {
  description = "Where the node fetches the images of this project, ending in \"/\". Empty: you load them by hand."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^([a-z0-9][a-z0-9._:/-]*/)?$", var.registry))
    error_message = "Give registry as HOST/PATH/ in small letters with a slash at its end, such as ghcr.io/somebody/; or leave it empty and load images by hand."
  }
}

variable "tag" {
  description = "The tag of these images, as `cargo xtask images` names it."
  type        = string
  default     = "0.1.0-amd64"
}

variable "cuda_image" {
  description = "With a GPU: the whole name of the aggregator's image that was built with the feature cuda."
  type        = string
  default     = ""

  validation {
    condition     = !var.gpu || length(var.cuda_image) > 0
    error_message = "With gpu = true also give cuda_image, an aggregator that was built with the feature cuda: otherwise the GPU would be leased and not used."
  }
}
