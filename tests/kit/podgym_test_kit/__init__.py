"""What tests of several rooms make: git histories, requests for plans, and machines that carry plans out."""
