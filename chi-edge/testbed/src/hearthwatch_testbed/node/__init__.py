"""One machine for the cloud side: bare metal made whole, or a lease for the virtual machine that Terraform makes."""
