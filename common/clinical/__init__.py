"""What is known of patients, in the one form that every source yields and every task reads."""
