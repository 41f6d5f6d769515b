"""What this machine is: its devices, its processors, and the fingerprint that a run stores."""
